"""A real Keras model that leaves its history."""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy

x = numpy.linspace(0, 1, 64).reshape(-1, 1)
model = keras.Sequential([keras.layers.Dense(1)])
model.compile(optimizer=keras.optimizers.SGD(candle_params["lr"]), loss="mse", metrics=["mae"])  # noqa: F821
history = model.fit(x, 2 * x, epochs=candle_params["epochs"], validation_split=0.25, verbose=2)  # noqa: F821
print(history.history["val_loss"][-1])
