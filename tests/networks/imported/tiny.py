"""A recogniser small enough to try everything on; the file is also what a user would give `--arch`."""

from pathlib import Path

from torch import nn

from pdsn.networks.imported.architecture import Architecture


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 4, 3, stride=8, padding=1), nn.BatchNorm2d(4), nn.PReLU(4))
        self.dropout = nn.Dropout(0.5)
        self.neck = nn.Linear(4 * 8 * 6, 5)

    def features(self, x):
        return self.trunk(x)

    def head(self, maps):
        return self.neck(self.dropout(maps.flatten(1)))


def rename(weights):
    return {name.replace("fc.", "neck."): value for name, value in weights.items()}


architecture = Architecture("tiny", Tiny, (64, 48), mean=(10, 20, 30), std=(1, 2, 4), bgr=True, rename=rename)

SOURCE = Path(__file__).read_text()
