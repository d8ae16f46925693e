using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Tessera.Training;

namespace Tessera.Evaluation.Tasks;

/// <summary>
/// The evaluations of a run: a file each in <c>evaluations/</c>, named by split, examples and the rest of what they are of, so that one
/// never replaces another of other data, count or options. <c>evaluation.json</c> is a copy of the <see cref="Main"/> one.
/// </summary>
/// <param name="run">The run's folder.</param>
public sealed class EvaluationStore(RunFolder run)
{
    private static readonly JsonSerializerOptions s_line = new(JsonSerializerDefaults.Web)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private static readonly JsonSerializerOptions s_file = new(s_line) { WriteIndented = true };

    private string Folder => run.In("evaluations");

    /// <summary>An evaluation as one line of JSON. Numbers are finite; a metric without a value is named with the reason under
    /// <c>absent</c>.</summary>
    public static string Line(EvaluationResult result) => JsonSerializer.Serialize(result, s_line);

    /// <summary>Keeps an evaluation, and the main one as <c>evaluation.json</c>.</summary>
    /// <param name="result">Its origin says what it is of.</param>
    /// <returns>All evaluations of the run, the newest first.</returns>
    /// <exception cref="ArgumentException">It has no origin.</exception>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public IReadOnlyList<EvaluationResult> Save(EvaluationResult result)
    {
        Directory.CreateDirectory(Folder);
        RunFolder.Write(Path.Combine(Folder, NameOf(result)), JsonSerializer.Serialize(result, s_file) + "\n");
        var all = All();
        RunFolder.Write(run.In("evaluation.json"), JsonSerializer.Serialize(Main(all), s_file) + "\n");
        return all;
    }

    /// <summary>All evaluations, the newest first; files that hold none are passed over.</summary>
    public IReadOnlyList<EvaluationResult> All()
    {
        if (!Directory.Exists(Folder)) return [];
        return [.. Directory.GetFiles(Folder, "*.json").Select(Read).OfType<EvaluationResult>().OrderByDescending(one => one.Origin!.Date)];
    }

    /// <summary>The evaluation that speaks for the run: of its finished model as it was last evaluated, or of the checkpoint that was last
    /// evaluated where there is no finished model; of these that on most examples, and of equally many the newest.</summary>
    /// <param name="all">At least one, the newest first.</param>
    public static EvaluationResult Main(IReadOnlyList<EvaluationResult> all)
    {
        var newest = (all.FirstOrDefault(one => one.Origin!.Checkpoint is null) ?? all[0]).Origin!;
        return all
            .Where(one => (one.Origin!.Checkpoint, one.Origin.Weights) == (newest.Checkpoint, newest.Weights))
            .OrderBy(one => one.Windows is not null).ThenByDescending(one => one.Examples).First();
    }

    private static EvaluationResult? Read(string path)
    {
        try
        {
            using var stream = File.OpenRead(path);
            return JsonSerializer.Deserialize<EvaluationResult>(stream, s_line) is { Origin: not null, Systems.Count: > 0 } result
                ? result
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string NameOf(EvaluationResult result)
    {
        var origin = result.Origin ?? throw new ArgumentException("the evaluation does not say what it is of", nameof(result));
        var of = string.Join('\n', origin.Checkpoint, origin.Weights, origin.Data, origin.Options, string.Join(',', result.Metrics));
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(of)))[..8];
        return string.Create(CultureInfo.InvariantCulture, $"{result.Split}-{result.Examples}-{hash}.json");
    }
}
