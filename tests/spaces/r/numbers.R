param.set <- makeParamSet(
  makeNumericParam("a", lower = 1e-5, upper = 1E+2),
  makeNumericParam("b", lower = -.5, upper = 1.),
  makeIntegerParam("c", lower = 0xA, upper = 1e2L),
  makeNumericParam("d", lower = -2^-3, upper = (1 - 0.25) * 4),
  makeDiscreteParam("e", values = c(1e5, 1e-5, 123456789, 1e15, 0.1 + 0.2)),
  makeDiscreteParam("f", values = list(yes = T, no = F)),
  makeNumericParam("g", lower = 0, upper = 10 %/% 3 + exp(0))
)
