"""How good is this audio encoder with five labelled clips?"""

__version__ = "0.1.0"
