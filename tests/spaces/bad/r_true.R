param.set <- makeParamSet(
  makeDiscreteParam("shuffle", values = c(True, False)),
  makeDiscreteParam("mode", values = c(fast, slow))
)
