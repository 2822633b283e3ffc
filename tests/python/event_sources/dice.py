"""Chance from a seed and a name, so that a draw does not depend on how many others were made before."""

import hashlib


class Dice:
    def __init__(self, seed):
        self.seed = seed

    def draw(self, name):
        """A number of 64 bits for a name, the same each time."""
        return int.from_bytes(hashlib.sha256(f"{self.seed}/{name}".encode()).digest()[:8], "big")

    def happens(self, name, per_mille):
        return self.draw(name) % 1000 < per_mille

    def between(self, name, least, end):
        """A whole number from `least` to below `end`."""
        return least + self.draw(name) % max(end - least, 1)

    def part(self, name):
        """A number from 0 to below 1."""
        return self.draw(name) / 2**64

    def one_of(self, name, choices):
        return choices[self.draw(name) % len(choices)]
