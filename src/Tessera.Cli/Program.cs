using Tessera.Training;
var recipe = Recipe.Load(args[0], args[2..]);
Trainer.Run(recipe, args[1], e => { if (e is not StepDone d || d.Step % 10 == 0) Console.WriteLine(MetricsLog.Line(e)); }, args[0].Contains("java") ? "/work/shared/data/java-cs" : ".");
return 0;
