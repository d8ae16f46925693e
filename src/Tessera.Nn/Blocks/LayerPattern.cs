using System.ComponentModel;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Tessera.Nn.Blocks;

/// <summary>Which sub-blocks a layer has.</summary>
public enum LayerBlocks
{
    /// <summary>A mixer, cross-attention where there is another sequence, and a feed-forward.</summary>
    All,

    /// <summary>A mixer alone.</summary>
    Mixer,

    /// <summary>A feed-forward alone.</summary>
    FeedForward,
}

/// <summary>One layer of a <see cref="LayerPattern"/>.</summary>
/// <param name="Mixer">The name of its mixer; the stack's attention where null.</param>
/// <param name="Blocks">Which sub-blocks it has.</param>
public readonly record struct NamedLayer(string? Mixer, LayerBlocks Blocks = LayerBlocks.All);

/// <summary>
/// The layers of a stack, in order: a number of alike ones, <c>12</c>, or names of mixers, <c>"3 x lstm, attention"</c>. A name is
/// <c>attention</c>, one of the stack's <c>mixers</c>, or a kind of mixer, which then has its defaults. <c>3 x</c> repeats a name or
/// what stands in parentheses; <c>only NAME</c> is a layer of that mixer without a feed-forward, <c>only feedForward</c> one
/// without a mixer.
/// </summary>
[JsonConverter(typeof(LayerPatternConverter))]
[Description("a number of layers, or names such as \"3 x lstm, attention\"")]
public sealed class LayerPattern : IEquatable<LayerPattern>
{
    private const int MaxLayers = 256;
    private readonly string? _text;

    private LayerPattern(IReadOnlyList<NamedLayer> layers, string? text) => (All, _text) = (layers, text);

    /// <summary>Each layer.</summary>
    public IReadOnlyList<NamedLayer> All { get; }

    /// <summary>How many layers there are.</summary>
    public int Count => All.Count;

    /// <summary>A number of layers that are alike.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There are fewer than 1 or more than 256.</exception>
    public static implicit operator LayerPattern(int count) => count is >= 1 and <= MaxLayers
        ? new LayerPattern([.. Enumerable.Repeat(default(NamedLayer), count)], null)
        : throw new ArgumentOutOfRangeException(nameof(count), count, $"layers is {count}; allowed: 1 to {MaxLayers}");

    /// <summary>How many layers there are.</summary>
    public static implicit operator int(LayerPattern layers) => layers.Count;

    /// <summary>Reads a pattern.</summary>
    /// <exception cref="FormatException">It is none; the message says where and what is allowed.</exception>
    public static LayerPattern Parse(string text)
    {
        var reader = new Reader(text);
        var layers = reader.Layers(MaxLayers);
        reader.RequireEnd();
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? count : new LayerPattern(layers, text);
    }

    /// <inheritdoc/>
    public bool Equals(LayerPattern? other) => other is not null && All.SequenceEqual(other.All);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as LayerPattern);

    /// <inheritdoc/>
    public override int GetHashCode() => All.Aggregate(0, HashCode.Combine);

    /// <summary>As a recipe writes it.</summary>
    public override string ToString() => _text ?? Count.ToString(CultureInfo.InvariantCulture);

    /// <summary>Walks through the text of a pattern.</summary>
    private ref struct Reader(string text)
    {
        private int _at;

        public List<NamedLayer> Layers(int max)
        {
            var layers = new List<NamedLayer>();
            do
            {
                layers.AddRange(Item(max));
                if (layers.Count > max) throw Problem($"there would be more than {max} layers");
            }
            while (Takes(','));
            return layers;
        }

        public void RequireEnd()
        {
            if (_at < text.Length) throw Problem($"'{text[_at..]}' is more than a pattern");
        }

        private List<NamedLayer> Item(int max)
        {
            var count = Word();
            if (!int.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out var times)) return Layer(count, max);
            Skip();
            if (_at == text.Length && count == text.Trim()) return [.. Enumerable.Repeat(default(NamedLayer), Checked(times, max))];
            if (Word() != "x") throw Problem($"after the number {count} comes 'x' and what is repeated");
            var repeated = Layer(Word(), max);
            Checked((long)times * repeated.Count, max);
            return [.. Enumerable.Repeat(repeated, times).SelectMany(layers => layers)];
        }

        private List<NamedLayer> Layer(string word, int max)
        {
            if (word.Length == 0 && Takes('('))
            {
                var layers = Layers(max);
                return Takes(')') ? layers : throw Problem("a parenthesis is not closed");
            }

            if (word != "only") return [new NamedLayer(Name(word))];
            var only = Word();
            return [only == "feedForward" ? new NamedLayer(null, LayerBlocks.FeedForward) : new NamedLayer(Name(only), LayerBlocks.Mixer)];
        }

        private string? Name(string word) => word switch
        {
            "" => throw Problem("a name is missing"),
            "attention" => null,
            _ => word,
        };

        private int Checked(long count, int max) =>
            count >= 1 && count <= max ? (int)count : throw Problem($"there would be {count} layers; allowed: 1 to {max}");

        private bool Takes(char sign)
        {
            Skip();
            if (_at == text.Length || text[_at] != sign) return false;
            _at++;
            return true;
        }

        private string Word()
        {
            Skip();
            var start = _at;
            while (_at < text.Length && (char.IsAsciiLetterOrDigit(text[_at]) || text[_at] is '-' or '_' or '.')) _at++;
            return text[start.._at];
        }

        private void Skip()
        {
            while (_at < text.Length && text[_at] == ' ') _at++;
        }

        private readonly FormatException Problem(string problem) =>
            new($"'{text}' is no pattern of layers: {problem}; allowed: a number, or names such as \"3 x lstm, attention\"");
    }
}

/// <summary>A number or a text.</summary>
internal sealed class LayerPatternConverter : JsonConverter<LayerPattern>
{
    public override LayerPattern Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        try
        {
            return reader.TokenType == JsonTokenType.String ? LayerPattern.Parse(reader.GetString()!) : reader.GetInt32();
        }
        catch (Exception error) when (error is FormatException or ArgumentOutOfRangeException or InvalidOperationException)
        {
            throw new JsonException(error.Message, error);
        }
    }

    public override void Write(Utf8JsonWriter writer, LayerPattern value, JsonSerializerOptions options)
    {
        if (int.TryParse(value.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var count)) writer.WriteNumberValue(count);
        else writer.WriteStringValue(value.ToString());
    }
}
