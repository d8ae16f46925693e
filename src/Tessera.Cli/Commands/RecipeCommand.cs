using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Tessera.Cli.Terminal;
using Tessera.Evaluation.Tasks;
using Tessera.Models;
using Tessera.Models.Recipes;
using Tessera.Nn;
using Tessera.Nn.Attention.Patterns;
using Tessera.Nn.Lora;
using Tessera.Nn.Positions;
using Tessera.Training;
using Tessera.Training.Phases;

namespace Tessera.Cli.Commands;

/// <summary><c>tessera recipe show|check|schema</c>.</summary>
internal static partial class RecipeCommand
{
    private const int MaxLength = 1 << 20;
    private static readonly JsonSerializerOptions s_written = new()
    {
        WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static Command Create() => new("recipe", CommonOptions.WithExamples(
        "Looks at recipes, and writes a first one.",
        "tessera recipe show recipes/quickstart.json",
        "tessera recipe check recipes/quickstart.json --set model.decoder.attention.heads=3",
        "tessera recipe schema > recipes/recipe.schema.json",
        "tessera recipe new first.json --text notes",
        "tessera recipe parts > docs/parts.md")) { NewRecipe.Create(), Show(), Check(), Schema(), Parts() };

    private static Command Show()
    {
        var (recipe, set, json) = (RecipeArgument(), CommonOptions.Set(), CommonOptions.Json());
        var length = new Option<int>("--length")
        {
            Description = "The sequence length that operations and memory are counted for.", DefaultValueFactory = _ => 256,
        };
        var command = new Command("show", "Prints a model's parts, shapes, parameters, memory and operations a token.")
        {
            recipe, set, length, json,
        };
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(length) is < 1 or > MaxLength)
                throw new ArgumentException($"--length is {parsed.GetValue(length)}; allowed: 1 to {MaxLength}");
            var plan = Load(parsed.GetRequiredValue(recipe), parsed.GetValue(set)!);
            Print(plan, ModelSummary.Of(plan.Model, parsed.GetValue(length)), new Screen(parsed.GetValue(json)));
            return CommandRunner.Success;
        });
        return command;
    }

    private static Command Check()
    {
        var (recipe, set) = (RecipeArgument(), CommonOptions.Set());
        var command = new Command("check", "Says whether a recipe is valid, its data aside; if not, where and what is allowed.")
        {
            recipe, set,
        };
        command.SetAction(parsed =>
        {
            Load(parsed.GetRequiredValue(recipe), parsed.GetValue(set)!).RequireLosses();
            Console.Out.WriteLine($"{parsed.GetRequiredValue(recipe)}: valid");
            return CommandRunner.Success;
        });
        return command;
    }

    private static Command Schema()
    {
        var command = new Command("schema", "Prints the JSON schema of recipes, for editors.");
        command.SetAction(_ =>
        {
            var comments = PartCatalogue.Comments();
            var schema = Recipe.Schema((record, option) => option is null ? comments.Summary(record) : comments.Of(record, option));
            Console.Out.WriteLine(schema.ToJsonString(s_written));
            return CommandRunner.Success;
        });
        return command;
    }

    private static Command Parts()
    {
        var command = new Command("parts", "Prints the catalogue of parts that a recipe can name, as Markdown.");
        command.SetAction(_ =>
        {
            Console.Out.Write(PartCatalogue.Markdown());
            return CommandRunner.Success;
        });
        return command;
    }

    [GeneratedRegex(@"(\blayers\.)\d+")]
    private static partial Regex LayerNumber();

    private static Argument<string> RecipeArgument() => new("recipe") { Description = "A recipe." };

    /// <summary>Prepares a recipe as training would, its data aside.</summary>
    private static RunPlan Load(string path, string[] settings)
    {
        var recipe = Recipe.Load(path, settings, CommonOptions.Note);
        var problems = new List<RecipeException>();
        RunPlan? plan = null;
        Try(() => plan = RunPlan.Of(recipe, Path.GetDirectoryName(Path.GetFullPath(path))!));
        Try(() => Metric.RequireKnown(recipe.Evaluate));
        return problems.Count == 0 ? plan! : throw (problems.Count == 1 ? problems[0] : new RecipeException(problems));

        void Try(Action check)
        {
            try
            {
                check();
            }
            catch (RecipeException problem)
            {
                problems.Add(problem);
            }
        }
    }

    private static string Share(ModelSummary summary) => summary.CacheBytes == summary.HeadsCacheBytes
        ? ""
        : string.Create(
            CultureInfo.InvariantCulture,
            $", {100.0 * summary.CacheBytes / summary.HeadsCacheBytes:F1} % of the {Amount.Bytes(summary.HeadsCacheBytes)}")
            + " of keys and values of all heads";

    /// <summary>The adapters as parts beside the model's.</summary>
    private static IEnumerable<PartSummary> Parts(RunPlan plan) => (plan.Adapters?.All ?? []).Select(own => new PartSummary(
        own.Name, nameof(LoraAdapter),
        string.Join(", ", own.Adapter.OwnParameters.Select(parameter => $"{parameter.Name} {parameter.Parameter.Shape}")),
        own.Adapter.ParameterCount()));

    private static void Print(RunPlan plan, ModelSummary summary, Screen screen)
    {
        var learning = plan.Parameters.Learning.Sum(own => own.Parameter.Shape.Count);
        screen.Table(
            ["part", "kind", "shapes", "parameters"],
            Alike(summary.Parts.Concat(Parts(plan))).Select(alike => (IReadOnlyList<string>)
            [
                alike.Count() == 1 ? alike.First().Name : $"{alike.Key.Item1}  × {alike.Count()}", alike.Key.Kind, alike.Key.Shapes,
                Amount.Of(alike.Sum(part => part.Parameters)),
            ]),
            textColumns: 3);
        var positions = Positions(plan.Recipe.Model ?? plan.Start!.Config.Model, "model").ToList();
        foreach (var (path, what) in positions) screen.Line($"{path}: {what}");
        screen.Line($"parameters           {Amount.Of(summary.Parameters)}");
        screen.Line($"active for a token   {Amount.Of(summary.ActiveParameters)}");
        var beside = plan.Adapters is { } adapters ? $", in {adapters.All.Count} adapters beside the model" : "";
        screen.Line($"learn                {Amount.Of(learning)}{beside}");
        foreach (var group in plan.Parameters.Groups)
            screen.Line($"  by {Kind(group.Optimizer),-18}{Amount.Of(group.Parameters.Sum(own => own.Parameter.Shape.Count))}");
        screen.Line($"vocabulary           {Amount.Of(plan.Model.Vocabulary)} tokens");
        var adapted = plan.Adapters is null ? 0 : learning * sizeof(float);
        var training = summary.WeightBytes + adapted + (3 * sizeof(float) * learning);
        screen.Line(
            $"weights in memory    {Amount.Bytes(summary.WeightBytes + adapted)}; "
            + $"with gradients and AdamW's state {Amount.Bytes(training)}");
        screen.Line($"cache                {Amount.Bytes(summary.CacheBytes)} for a sequence of {summary.Length}{Share(summary)}");
        screen.Line(
            $"operations a token   {Amount.Of((long)summary.FlopsPerToken)} FLOPs forward at length {summary.Length}; "
            + "about three times that in training");
        screen.Line($"losses               {OrNone(plan.Losses)}");
        screen.Line($"measurements         {OrNone(plan.Measurements)}");
        foreach (var phase in plan.Phases)
            screen.Line($"{phase.Path,-21}{phase.Phase.Name}: {Kind(phase.Objective)}, {Lengths(phase, plan.Model.ReadsSource)}");
        screen.Json(Line(plan, summary, learning));
    }

    /// <summary>The position encodings and attention patterns of a model, which own few parameters or none, by their places in the recipe.
    /// </summary>
    private static IEnumerable<(string Path, string What)> Positions(object options, string path)
    {
        foreach (var option in PartCatalogue.Options(options.GetType()))
        {
            var (place, value, type) = (
                $"{path}.{JsonNamingPolicy.CamelCase.ConvertName(option.Name)}", option.GetValue(options), option.PropertyType);
            if (typeof(PositionOptions).IsAssignableFrom(type) || typeof(AttentionPattern).IsAssignableFrom(type))
            {
                var said = value is null ? "none" : PartCatalogue.Written(value, type);
                yield return (place, said == "{}" ? $"{{ \"kind\": \"{Kind(value!)}\" }}" : said);
                continue;
            }

            var within = value is System.Collections.IEnumerable list and not string
                ? list.Cast<object?>().Select((item, index) => (Item: item, Place: $"{place}[{index}]"))
                : [(value, place)];
            foreach (var (item, at) in within)
            {
                if (item is null or string || !item.GetType().IsClass) continue;
                foreach (var found in Positions(item, at)) yield return found;
            }
        }
    }

    /// <summary>All of it as one line of JSON.</summary>
    private static JsonObject Line(RunPlan plan, ModelSummary summary, long learning)
    {
        var line = JsonSerializer.SerializeToNode(summary, JsonOutput.Options)!.AsObject();
        (line["learning"], line["vocabulary"]) = (learning, plan.Model.Vocabulary);
        line["positions"] = new JsonObject(Positions(plan.Recipe.Model ?? plan.Start!.Config.Model, "model")
            .Select(own => KeyValuePair.Create(own.Path, (JsonNode?)JsonValue.Create(own.What))));
        line["losses"] = JsonSerializer.SerializeToNode(plan.Losses);
        line["measurements"] = JsonSerializer.SerializeToNode(plan.Measurements);
        line["optimizers"] = new JsonArray([.. plan.Parameters.Groups.Select(group => new JsonObject
        {
            ["kind"] = Kind(group.Optimizer), ["parameters"] = group.Parameters.Sum(own => own.Parameter.Shape.Count),
        })]);
        line["phases"] = new JsonArray([.. plan.Phases.Select(phase => new JsonObject
        {
            ["name"] = phase.Phase.Name, ["objective"] = Kind(phase.Objective),
        })]);
        return line;
    }

    /// <summary>Parts that differ in the number of their layer alone, together.</summary>
    private static IEnumerable<IGrouping<(string, string Kind, string Shapes), PartSummary>> Alike(IEnumerable<PartSummary> parts) =>
        parts.GroupBy(part => (LayerNumber().Replace(part.Name, "$1#"), part.Kind, part.Shapes));

    private static string OrNone(IReadOnlyList<string> names) => names.Count == 0 ? "none" : string.Join(", ", names);

    private static string Lengths(PhasePlan phase, bool readsSource) =>
        $"length {Text(phase.Length)}{(readsSource ? $", source {Text(phase.SourceLength)}" : "")}";

    private static string Text(LengthSchedule length) =>
        length.From == length.To ? Amount.Of(length.To) : $"{Amount.Of(length.From)} to {Amount.Of(length.To)}";

    /// <summary>What a recipe calls a part.</summary>
    private static string Kind(object options) => Nn.Parts.NameOf(options);
}
