import pytest
import torch
from torch import nn

from pdsn.networks.unmasking import EmbeddingUnmasking


@pytest.mark.parametrize(("embedding", "width"), [(512, 512), (32, 80)])
def test_layers_are_those_of_boutros_and_others(embedding, width):
    net = list(EmbeddingUnmasking(embedding, width))
    block = [nn.Linear, nn.BatchNorm1d, nn.LeakyReLU]
    assert [type(layer) for layer in net] == [*block, *block, *block, nn.Linear, nn.BatchNorm1d]
    sizes = [(embedding, width), (width, width), (width, width), (width, embedding)]
    assert [(layer.in_features, layer.out_features) for layer in net[::3]] == sizes
    assert [layer.num_features for layer in net[1::3]] == [width, width, width, embedding]
    assert all(layer.negative_slope == 0.2 for layer in net[2::3])
    assert all(layer.bias is not None for layer in net[::3])


def test_the_authors_width_is_the_default():
    assert [layer.out_features for layer in list(EmbeddingUnmasking(16))[::3]] == [512, 512, 512, 16]


def test_embeddings_keep_their_shape():
    torch.manual_seed(0)
    net = EmbeddingUnmasking(24, 40)
    found = net(torch.randn(9, 24))
    assert found.shape == (9, 24) and found.norm(dim=1).std() > 0
    # The last layer is a BatchNorm: in training each number has mean 0 over the batch, and no floor.
    torch.testing.assert_close(found.mean(0), torch.zeros(24), atol=1e-5, rtol=0)
    assert (found < -1).any()
