param.set <- makeParamSet(
  makeIntegerParam("a", 0, 1),
  forbidden = expression(a > 0)
)
