print("the script", __file__, "as", __name__)

if __name__ == "__main__":
    val_to_return = hyperparams["x"] ** 2  # noqa: F821
