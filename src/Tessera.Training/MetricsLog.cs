using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Tessera.Training;

/// <summary>The measurements of a run: <c>metrics.jsonl</c>, a JSON object a line, each with its <c>step</c>.</summary>
public static class MetricsLog
{
    private static readonly JsonSerializerOptions s_options = new(JsonSerializerDefaults.Web)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    /// <summary>An event as one line of JSON; <c>event</c> says which.</summary>
    public static string Line(TrainingEvent happened)
    {
        var body = JsonSerializer.Serialize(happened, happened.GetType(), s_options);
        var name = JsonNamingPolicy.KebabCaseLower.ConvertName(happened.GetType().Name);
        return body == "{}" ? $$"""{"event":"{{name}}"}""" : $$"""{"event":"{{name}}",{{body[1..]}}""";
    }

    /// <summary>The steps and evaluations of a run, in order.</summary>
    /// <returns>Events of type <see cref="StepDone"/> and <see cref="Validated"/>; none where there is no such file.</returns>
    public static IReadOnlyList<TrainingEvent> Read(string path)
    {
        if (!File.Exists(path)) return [];
        var events = new List<TrainingEvent>();
        foreach (var line in File.ReadLines(path))
        {
            if (Parse(line) is { } happened) events.Add(happened);
        }

        return events;
    }

    /// <summary>Keeps the lines of steps up to <paramref name="step"/>: a resumed run writes the later ones again.</summary>
    internal static void Cut(string path, long step)
    {
        if (!File.Exists(path)) return;
        var kept = new StringBuilder();
        foreach (var line in File.ReadLines(path))
        {
            if (Parse(line) is { } happened && StepOf(happened) <= step) kept.Append(line).Append('\n');
        }

        RunFolder.Write(path, kept.ToString());
    }

    private static long StepOf(TrainingEvent happened) => happened switch
    {
        StepDone done => done.Step,
        Validated validated => validated.Step,
        _ => 0,
    };

    /// <summary>A line that was cut short by a crash is no event.</summary>
    private static TrainingEvent? Parse(string line)
    {
        try
        {
            if (line.StartsWith("""{"event":"step-done",""", StringComparison.Ordinal))
                return JsonSerializer.Deserialize<StepDone>(line, s_options);
            return line.StartsWith("""{"event":"validated",""", StringComparison.Ordinal)
                ? JsonSerializer.Deserialize<Validated>(line, s_options)
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
