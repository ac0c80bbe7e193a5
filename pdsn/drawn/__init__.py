"""Drawn portraits: who a person is (`people`), what a photo is taken like (`shot`), the picture (`photo`)."""
