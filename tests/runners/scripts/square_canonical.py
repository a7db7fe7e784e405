import argparse


def initialize_parameters(default_model="square_default_model.txt"):
    parser = argparse.ArgumentParser()
    parser.add_argument("--x", type=float, default=3.0)
    parser.add_argument("--offset", type=float, default=1.0)
    return vars(parser.parse_args())


class History:
    def __init__(self, history):
        self.history = history


def run(params):
    return History({"loss": [9.0, 4.0], "val_loss": [7.0, params["x"] ** 2 + params["offset"]]})
