param.set <- makeParamSet(
  makeDiscretParam("a", values = c(1, 2)),
  makeDiscreteParam("b", valus = c(1, 2)),
  makeIntegerParam("c", lower = 1),
  makeNumericParam("d", lower = 0, upper = Inf),
  makeIntegerParam("e", lower = 1.5, upper = 3),
  makeIntegerParam("f", lower = 3, upper = 1),
  makeCharacterParam("g"),
  makeNumericParam("h", 0, 1, trafo = function(x) system("touch /tmp/hpo")),
  makeNumericParam("i", 0, 1, requires = quote(kernal == 1)),
  makeDiscreteParam("j", values = unknown),
  makeNumericVectorParam("k", len = 3, lower = c(0, 1), upper = 2),
  makeNumericParam("l", 0, 1, default = 2),
  makeNumericParam("m", 0, 1, trafo = function(x) log(-1 - x)),
  makeNumericParam("m", 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
)
