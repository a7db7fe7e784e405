"""Hyperparameter optimization on laptops and clusters, in the manner of CANDLE."""

__version__ = "0.1.0"
