if __name__ == "__main__":
    value = (hyperparams["x"] - 0.1) ** 2 + hyperparams["offset"]  # noqa: F821
    if hyperparams["id"] == "hpset_00003":  # noqa: F821
        raise ValueError("no data")
    print(hyperparams["name"])  # noqa: F821
    val_to_return = value
