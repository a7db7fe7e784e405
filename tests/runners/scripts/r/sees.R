candle_value_to_return <- list(
  val_loss = 0,
  args = commandArgs(TRUE),
  list = candle_params$list,
  text = candle_params$text,
  cwd = getwd(),
  nested = candle_params$nested$a,
  trial = Sys.getenv("HPO_TRIAL"),
  draw = runif(1),
  lib = .libPaths()[[1]]
)
