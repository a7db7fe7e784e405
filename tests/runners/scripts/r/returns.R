values <- list(
  float = 0.1, integer = 7L, named = c(val_loss = 0.25), list = list(val_loss = 0.25, acc = 0.5, name = "a \"b\"\\"),
  string = "0.5", vector = c(1, 2), logical = TRUE, nan = NaN, na = NA, inf = -Inf, tiny = 1e-300, model = function(x) x
)
candle_value_to_return <- values[[candle_params$kind]]
