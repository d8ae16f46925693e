namespace Tessera.Models.Formats.Gguf;

/// <summary>The metadata of one model in a GGUF file: the keys that begin with its architecture, checked as they are read.</summary>
/// <param name="file">The file.</param>
/// <param name="architecture">What the keys begin with, such as <c>llama</c>.</param>
internal sealed class GgufKeys(GgufFile file, string architecture)
{
    private const int MaxOfAnything = 1 << 24;

    /// <summary>The file.</summary>
    public GgufFile File { get; } = file;

    /// <summary>Whether there is such a key.</summary>
    public bool Has(string key) => File.Metadata.ContainsKey(Full(key));

    /// <summary>Whether the value of a key is an array.</summary>
    public bool IsArray(string key) => File.Metadata.TryGetValue(Full(key), out var value) && value.Type == GgufValueType.Array;

    /// <summary>Whether there is such a tensor.</summary>
    public bool HasTensor(string name) => File.Tensors.ContainsKey(name);

    /// <summary>A text, or null.</summary>
    public string? Text(string key) => File.Text(Full(key));

    /// <summary>A truth value.</summary>
    public bool Truth(string key, bool otherwise) => File.Truth(Full(key)) ?? otherwise;

    /// <summary>A whole number from <paramref name="min"/> on that must be there.</summary>
    public int Count(string key, int min = 1) => CountOrNull(key, min) ?? throw Missing(key);

    /// <summary>As <see cref="Count(string, int)"/>, or another number where there is no such key.</summary>
    public int CountOr(string key, int otherwise, int min = 0) => CountOrNull(key, min) ?? otherwise;

    /// <summary>A number above 0 that must be there.</summary>
    public float Number(string key) => NumberOrNull(key) ?? throw Missing(key);

    /// <summary>As <see cref="Number"/>, or null where there is no such key.</summary>
    public float? NumberOrNull(string key) => File.Number(Full(key)) switch
    {
        null => null,
        > 0 and <= float.MaxValue and { } number => (float)number,
        { } other => throw Wrong(key, other, "a number above 0"),
    };

    /// <summary>As <see cref="NumberOrNull"/>, but as the shortest decimal number that is stored so: 0.1 and not 0.10000000149.</summary>
    public double? DecimalOrNull(string key) => NumberOrNull(key) is { } number ? Shortest(number) : null;

    /// <summary>An array of truth values, or null.</summary>
    public IReadOnlyList<bool>? BooleansOrNull(string key)
    {
        if (!File.Metadata.TryGetValue(Full(key), out var value)) return null;
        return value is { Type: GgufValueType.Array, ItemType: GgufValueType.Bool }
            ? [.. value.Items.Cast<bool>()]
            : throw Wrong(key, value, "an array of truth values");
    }

    /// <summary>The shortest decimal number whose binary32 is this one.</summary>
    public static double Shortest(float number) => double.Parse(number.ToString("R", null), provider: null);

    /// <summary>What is wrong with a key.</summary>
    public InvalidDataException Wrong(string key, object found, string allowed) =>
        new($"{File.Path}: metadata '{Full(key)}' is {found}; allowed: {allowed}");

    private InvalidDataException Missing(string key) => new($"{File.Path}: metadata '{Full(key)}' is missing");

    private int? CountOrNull(string key, int min) => File.Whole(Full(key)) switch
    {
        null => null,
        { } number when number >= min && number <= MaxOfAnything => (int)number,
        { } other => throw Wrong(key, other, $"{min} to {MaxOfAnything}"),
    };

    private string Full(string key) => $"{architecture}.{key}";
}
