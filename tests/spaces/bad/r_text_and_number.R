makeParamSet(
  makeDiscreteParam("opt", values = c("adam", "sgd")),
  makeDiscreteParam("a", values = c(1, 2), requires = quote(opt > 3))
)
