# comments everywhere, and commented-out parameters, also behind the last one
param.set<-makeParamSet (   # opening
  # makeDiscreteParam("batch_size", values = c(16, 32)),
  makeIntegerParam("epochs", lower = 1, upper = 2),   # makeIntegerParam("x", 1, 2)
  makeDiscreteParam("hash", values = c("#ff0000", 'a "b" # c'))
  ## DEBUG: makeDiscreteParam("conv", values = c("32 20 16 32 10 1"))
  #, makeNumericParam("last", 0, 1)
)
