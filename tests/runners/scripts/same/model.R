value <- (candle_params[["x"]] - 0.1)^2 + hyperparams$offset
if (candle_params[["id"]] == "hpset_00003") stop("no data")
cat(candle_params[["name"]], "\n", sep = "")
candle_value_to_return <- value
