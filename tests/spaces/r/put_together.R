first <- makeParamSet(makeNumericParam("a", 0, 1))
p <- makeIntegerParam("b", 1, 3)
second <- makeParamSet(p, makeLogicalParam("c"), makeDiscreteParam("d", values = 1:2))
param.set <- c(first, second)
