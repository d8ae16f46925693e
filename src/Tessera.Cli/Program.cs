using System.CommandLine;
using Tessera.Cli;
using Tessera.Cli.Commands;
using Tessera.CSharp;

CSharpParts.Register();
var root = new RootCommand("Trains, evaluates and runs sequence models built from swappable parts, in C#, on ordinary processors.")
{
    QuickstartCommand.Create(), TrainCommand.Create(), EvaluateCommand.Create(), GenerateCommand.Create(), DataCommand.Create(),
    RecipeCommand.Create(), TokenizeCommand.Create(), VerifyCommand.Create(), ConvertCommand.Create(), InspectCommand.Create(),
    MergeCommand.Create(), InfoCommand.Create(), CommonOptions.Parts,
};
return await CommandRunner.RunAsync(root, args);
