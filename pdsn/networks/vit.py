"""A small vision transformer whose patch tokens are the map."""

from __future__ import annotations

from torch import Tensor, nn

from pdsn.networks.backbone import neck, standardised


class ViTNet(nn.Module):
    """timm's vision transformer (Dosovitskiy et al., ICLR 2021) without a class token, and the head of `IRNet`.

    Each patch token, behind the last normalisation, is a cell of the map: masks work on it as on that of a CNN. Unlike
    there, every token has seen the whole face.

    Args:
        size: height and width of a face in pixels, multiples of the patch.
        width: channels of a token, a multiple of the heads.
        depth: blocks.
        heads: of the attention.
        patch: rows and columns of a patch in pixels.
        embedding: E, length of an embedding.
        dropout: probability of dropping a feature before the linear layer.

    Raises:
        ValueError: the patches do not divide the face, or the heads do not divide the channels.
    """

    def __init__(
        self,
        size: tuple[int, int],
        width: int = 192,
        depth: int = 8,
        heads: int = 3,
        patch: int = 16,
        embedding: int = 512,
        dropout: float = 0.4,
    ) -> None:
        super().__init__()
        from timm.models.vision_transformer import VisionTransformer

        if size[0] % patch or size[1] % patch:
            raise ValueError(f"patches of {patch} pixels do not divide faces of {size[0]}x{size[1]}")
        if width % heads:
            raise ValueError(f"{heads} heads do not divide {width} channels")
        self.size = size
        self.embedding = embedding
        self.transformer = VisionTransformer(
            img_size=size,
            patch_size=patch,
            num_classes=0,
            global_pool="",
            class_token=False,
            embed_dim=width,
            depth=depth,
            num_heads=heads,
        )
        self.map_shape = (width, size[0] // patch, size[1] // patch)
        self.neck = neck(self.map_shape, embedding, dropout)

    def features(self, faces: Tensor) -> Tensor:
        """Tokens as a map (N, C, h, w) of faces (N, 3, H, W) uint8, or float in 0 to 255; of either sign."""
        tokens = self.transformer.forward_features(standardised(faces))
        return tokens.transpose(1, 2).reshape(tokens.shape[0], *self.map_shape)

    def head(self, maps: Tensor) -> Tensor:
        """Embeddings (N, E) of maps (N, C, h, w), masked or not; not normalised."""
        return self.neck(maps)

    def forward(self, faces: Tensor) -> Tensor:
        """Embeddings (N, E) of faces, see `features`."""
        return self.head(self.features(faces))
