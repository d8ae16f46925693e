using System.Text.Json;
using Tessera.Text.Files;

namespace Tessera.Models.Formats.HuggingFace;

/// <summary>
/// A <c>config.json</c> as Hugging Face's transformers writes it, or an object within one. A key that is absent has the value that the
/// reader names, which is the default of the family's configuration in transformers; a value of another kind than expected is an error
/// that names the file, the key, what was found and what is allowed. It is read as Python reads it: with <c>Infinity</c> and
/// <c>NaN</c>, and with <c>2.0</c> where a whole number is meant.
/// </summary>
public sealed class HuggingFaceConfig
{
    /// <summary>The name of the file.</summary>
    public const string File = "config.json";

    private const int ShownCharacters = 60;
    private const int MaxLayers = 256;

    private readonly JsonElement _json;
    private readonly string _place;

    private HuggingFaceConfig(string path, JsonElement json, string place) => (Path, _json, _place) = (path, json, place);

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>What <c>model_type</c> says, such as <c>llama</c>; null where it says nothing.</summary>
    public string? ModelType => Has("model_type") ? Text("model_type", "") : null;

    /// <summary>Reads a file.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">It is not a JSON object.</exception>
    public static HuggingFaceConfig Load(string path)
    {
        FileKinds.Require(path, FileKind.Json, "JSON");
        return Parse(System.IO.File.ReadAllText(path), path);
    }

    /// <summary>Reads a text.</summary>
    /// <param name="json">The text.</param>
    /// <param name="path">The file it came from, for messages.</param>
    /// <exception cref="InvalidDataException">It is not a JSON object.</exception>
    public static HuggingFaceConfig Parse(string json, string path)
    {
        try
        {
            using var document = PythonJson.Parse(json);
            JsonTexts.RequireUnicode(document.RootElement);
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? new HuggingFaceConfig(path, document.RootElement.Clone(), "")
                : throw new InvalidDataException($"{path}: is {Shown(document.RootElement)}; expected an object {{ … }}");
        }
        catch (JsonException error)
        {
            throw new InvalidDataException(
                $"{path}({error.LineNumber + 1},{error.BytePositionInLine + 1}): is not valid JSON here: {JsonTexts.Reason(error)}", error);
        }
        catch (InvalidOperationException error)
        {
            throw new InvalidDataException($"{path}: {JsonTexts.NotUnicode}", error);
        }
    }

    /// <summary>The keys.</summary>
    public IEnumerable<string> Keys => _json.EnumerateObject().Select(member => member.Name);

    /// <summary>Whether there is such a key with another value than null.</summary>
    public bool Has(string key) => _json.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null;

    /// <summary>Whether there is such a key, be its value null.</summary>
    public bool Names(string key) => _json.TryGetProperty(key, out _);

    /// <summary>Whether a value says something: it is there, and is not null, false, or an empty text, list or object, which Python takes
    /// for nothing.</summary>
    public bool Says(string key) => Has(key) && _json.GetProperty(key) is var value && value.ValueKind switch
    {
        JsonValueKind.False => false,
        JsonValueKind.String => value.GetString()!.Length > 0,
        JsonValueKind.Array => value.GetArrayLength() > 0,
        JsonValueKind.Object => value.EnumerateObject().Any(),
        _ => true,
    };

    /// <summary>Whether a value is the number 0, as of a dropout that is none.</summary>
    public bool IsZero(string key) => Has(key) && PythonJson.Number(_json.GetProperty(key)) == 0;

    /// <summary>A value as the file has it, for messages.</summary>
    public string Shown(string key) => Shown(_json.GetProperty(key));

    /// <summary>Whether there is a list of texts under a key.</summary>
    public bool IsList(string key) => Has(key) && _json.GetProperty(key) is { ValueKind: JsonValueKind.Array } list
        && list.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String);

    /// <summary>A whole number from <paramref name="min"/> to <paramref name="max"/>.</summary>
    /// <param name="key">Where.</param>
    /// <param name="otherwise">Its value where the key is absent; null: it must be there.</param>
    /// <param name="min">The least that is allowed.</param>
    /// <param name="max">The most that is allowed.</param>
    public int Whole(string key, int? otherwise = null, int min = 1, int max = int.MaxValue)
    {
        if (!Names(key)) return otherwise ?? throw Problem(key, "missing", "a whole number");
        var value = _json.GetProperty(key);
        if (WholeOf(value) is not { } number) throw Problem(key, Shown(value), "a whole number");
        return number >= min && number <= max
            ? number
            : throw Problem(key, number, max == int.MaxValue ? $"{min} or above" : $"{min} to {max}");
    }

    /// <summary>A number of layers: for each of them something is made before a part could refuse them.</summary>
    public int Layers(string key, int otherwise) => Whole(key, otherwise, max: MaxLayers);

    /// <summary>As <see cref="Whole"/>, where null is a value: that nothing of the kind is there.</summary>
    public int? WholeOrNull(string key, int? otherwise = null, int min = 1) =>
        !Names(key) ? otherwise : Has(key) ? Whole(key, min: min) : null;

    /// <summary>A number.</summary>
    /// <param name="key">Where.</param>
    /// <param name="otherwise">Its value where the key is absent; null: it must be there.</param>
    public double Number(string key, double? otherwise = null)
    {
        if (!Names(key)) return otherwise ?? throw Problem(key, "missing", "a number");
        var value = _json.GetProperty(key);
        return PythonJson.Number(value) is { } number && double.IsFinite(number) ? number : throw Problem(key, Shown(value), "a number");
    }

    /// <summary>As <see cref="Number"/>, null where the key is absent or null.</summary>
    public double? NumberOrNull(string key) => Has(key) ? Number(key) : null;

    /// <summary>True or false; absent or null: <paramref name="otherwise"/>.</summary>
    public bool Truth(string key, bool otherwise)
    {
        if (!Has(key)) return otherwise;
        var value = _json.GetProperty(key);
        return value.ValueKind is JsonValueKind.True or JsonValueKind.False
            ? value.GetBoolean()
            : throw Problem(key, Shown(value), "true or false");
    }

    /// <summary>A text; absent or null: <paramref name="otherwise"/>.</summary>
    public string Text(string key, string otherwise)
    {
        if (!Has(key)) return otherwise;
        var value = _json.GetProperty(key);
        return value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Problem(key, Shown(value), "a text");
    }

    /// <summary>A list of texts; null where the key is absent or null.</summary>
    public IReadOnlyList<string>? Texts(string key) => Items(key, JsonValueKind.String, "texts")?.ConvertAll(item => item.GetString()!);

    /// <summary>A list of whole numbers; null where the key is absent or null.</summary>
    public IReadOnlyList<int>? Wholes(string key) =>
        Items(key, JsonValueKind.Number, "whole numbers")?.ConvertAll(
            item => WholeOf(item) ?? throw Problem(key, Shown(item), "whole numbers"));

    /// <summary>A list of whole numbers, or one alone; null where the key is absent or null.</summary>
    public IReadOnlyList<int>? OneOrMore(string key) =>
        Has(key) && _json.GetProperty(key).ValueKind == JsonValueKind.Number ? [Whole(key, min: int.MinValue)] : Wholes(key);

    /// <summary>A text, or the one that a list of objects with a <c>name</c> and a <c>template</c> has under a name; null where there is
    /// none.</summary>
    public string? NamedText(string key, string name)
    {
        if (!Has(key)) return null;
        if (_json.GetProperty(key).ValueKind != JsonValueKind.Array) return Text(key, "");
        return Items(key, JsonValueKind.Object, "objects")!
            .Select((item, index) => new HuggingFaceConfig(Path, item, $"{_place}{key}[{index}]."))
            .FirstOrDefault(item => item.Text("name", "") == name)?.Text("template", "");
    }

    /// <summary>A list of numbers; null where the key is absent or null.</summary>
    public IReadOnlyList<double>? Numbers(string key) =>
        Items(key, JsonValueKind.Number, "numbers")?.ConvertAll(
            item => PythonJson.Number(item) is { } number && double.IsFinite(number)
                ? number
                : throw Problem(key, Shown(item), "numbers"));

    /// <summary>Whether there is a text under a key.</summary>
    public bool IsText(string key) => Has(key) && _json.GetProperty(key).ValueKind == JsonValueKind.String;

    /// <summary>Whether there is an object under a key.</summary>
    public bool IsObject(string key) => Has(key) && _json.GetProperty(key).ValueKind == JsonValueKind.Object;

    /// <summary>The object under a key; null where the key is absent or null.</summary>
    public HuggingFaceConfig? Object(string key)
    {
        if (!Has(key)) return null;
        var value = _json.GetProperty(key);
        return value.ValueKind == JsonValueKind.Object
            ? new HuggingFaceConfig(Path, value, $"{_place}{key}.")
            : throw Problem(key, Shown(value), "an object { … }");
    }

    /// <summary>Throws unless a value is allowed.</summary>
    public void Require(bool condition, string key, object? found, string allowed)
    {
        if (!condition) throw Problem(key, found, allowed);
    }

    /// <summary>The exception that says what is wrong with a value.</summary>
    /// <param name="key">Where.</param>
    /// <param name="found">What was found.</param>
    /// <param name="allowed">What is allowed, in words.</param>
    public InvalidDataException Problem(string key, object? found, string allowed) =>
        new($"{Path}: {_place}{key} is {found}; allowed: {allowed}");

    private List<JsonElement>? Items(string key, JsonValueKind kind, string allowed)
    {
        if (!Has(key)) return null;
        var value = _json.GetProperty(key);
        return value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(item => item.ValueKind == kind)
            ? [.. value.EnumerateArray()]
            : throw Problem(key, Shown(value), $"a list of {allowed}");
    }

    /// <summary>A whole number, be it written <c>2</c> or <c>2.0</c>; null where it is none or does not fit.</summary>
    private static int? WholeOf(JsonElement value) =>
        value.ValueKind != JsonValueKind.Number ? null
        : value.TryGetInt32(out var whole) ? whole
        : PythonJson.Number(value) is { } number && number == Math.Truncate(number) && Math.Abs(number) <= int.MaxValue ? (int)number
        : null;

    private static string Shown(JsonElement value)
    {
        var text = PythonJson.Text(value);
        return text.Length <= ShownCharacters ? text : text[..ShownCharacters] + "…";
    }
}
