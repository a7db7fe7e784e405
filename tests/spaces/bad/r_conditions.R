makeParamSet(
  makeDiscreteParam("opt", values = c("adam", "sgd")),
  makeNumericParam("a", 0, 1, requires = quote(opt = "sgd")),
  makeNumericParam("b", 0, 1, requires = quote((opt = "sgd"))),
  makeNumericParam("c", 0, 1, requires = quote("sgd")),
  makeNumericParam("d", 0, 1, requires = expression(opt = "sgd"))
)
