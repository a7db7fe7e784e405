class History:
    def __init__(self, history):
        self.history = history


value = (candle_params["x"] - 0.1) ** 2 + candle_params["offset"]  # noqa: F821
if candle_params["id"] == "hpset_00003":  # noqa: F821
    raise ValueError("no data")
print(candle_params["name"])  # noqa: F821
history = History({"val_loss": [9.0, value]})
