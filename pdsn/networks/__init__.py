"""Networks and losses, without data: backbones, margin losses, mask generator, recognisers of others."""
