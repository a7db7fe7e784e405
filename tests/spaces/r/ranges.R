param.set <- makeParamSet(
  makeNumericParam("learning_rate", lower = 0.00001, upper = 0.1),
  makeNumericParam("drop", 0, 0.9),
  makeIntegerParam("epochs", lower = 5L, upper = 0x32),
  makeIntegerParam(upper = 4, id = "layers", lower = -2),
  makeLogicalParam("residual"),
  makeIntegerParam("constant", lower = 7, upper = 7),
  makeNumericParam("fixed", lower = .5, upper = 5e-1)
)
