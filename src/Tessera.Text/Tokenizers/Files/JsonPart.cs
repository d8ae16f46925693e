using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>A value inside a JSON file that knows where it stands, so that errors can say so.</summary>
internal sealed class JsonPart
{
    private const int LongestQuote = 80;

    private readonly string _name;
    private readonly JsonPart? _parent;

    /// <summary>The whole of a file.</summary>
    public JsonPart(string file, JsonElement value) => (_name, Value) = (file, value);

    private JsonPart(JsonPart parent, string name, JsonElement value) : this(name, value) => _parent = parent;

    /// <summary>The value itself.</summary>
    public JsonElement Value { get; }

    /// <summary>The value under a name, or null where there is none or it is <c>null</c>.</summary>
    /// <exception cref="InvalidDataException">This is no object.</exception>
    public JsonPart? Optional(string name)
    {
        if (Value.ValueKind != JsonValueKind.Object) throw Wrong("an object");
        var found = Value.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null;
        return found ? new JsonPart(this, name, value) : null;
    }

    /// <summary>The value under a name that must be there.</summary>
    /// <exception cref="InvalidDataException">This is no object, or has no such name.</exception>
    public JsonPart Required(string name) =>
        Optional(name) ?? throw new InvalidDataException($"{new JsonPart(this, name, default)} is missing.");

    /// <summary>A true or false under a name.</summary>
    /// <exception cref="InvalidDataException">It is something else.</exception>
    public bool Flag(string name, bool otherwise)
    {
        if (Optional(name) is not { } flag) return otherwise;
        return flag.Value.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => throw flag.Wrong("true or false"),
        };
    }

    /// <summary>This as a text.</summary>
    /// <exception cref="InvalidDataException">It is something else.</exception>
    public string Text() =>
        Value.ValueKind == JsonValueKind.String ? Valid(() => Value.GetString()!) : throw Wrong("a text");

    /// <summary>This as an id.</summary>
    /// <exception cref="InvalidDataException">It is something else, negative or too great.</exception>
    public int Id() => Value.ValueKind == JsonValueKind.Number && Value.TryGetInt32(out var id) && id >= 0
        ? id
        : throw Wrong($"an id from 0 to {int.MaxValue}");

    /// <summary>The values of this list.</summary>
    /// <exception cref="InvalidDataException">It is no list.</exception>
    public IEnumerable<JsonPart> Items()
    {
        if (Value.ValueKind != JsonValueKind.Array) throw Wrong("a list");
        return Value.EnumerateArray().Select((item, index) => new JsonPart(this, $"[{index}]", item));
    }

    /// <summary>The names and values of this object.</summary>
    /// <exception cref="InvalidDataException">It is no object.</exception>
    public IEnumerable<(string Name, JsonPart Value)> Members()
    {
        if (Value.ValueKind != JsonValueKind.Object) throw Wrong("an object");
        return Value.EnumerateObject().Select(member =>
        {
            var name = Valid(() => member.Name);
            return (name, new JsonPart(this, name, member.Value));
        });
    }

    /// <summary>The error that this value is not what it has to be.</summary>
    public InvalidDataException Wrong(string expected) => new($"{this} is {Quote()}; it must be {expected}.");

    /// <summary>The error that this value is of a kind that is not read here.</summary>
    public InvalidDataException Unsupported(string supported, Exception? cause = null) =>
        new($"{this} is {Quote()}, which is not supported; supported: {supported}. {cause?.Message}".TrimEnd(), cause);

    /// <summary>The file and the place in it: <c>tokenizer.json: 'model.merges[3]'</c>.</summary>
    public override string ToString()
    {
        var key = "";
        var part = this;
        for (; part._parent is not null; part = part._parent)
            key = part._name + (key.Length == 0 || key[0] == '[' ? "" : ".") + key;
        return key.Length == 0 ? part._name : $"{part._name}: '{key}'";
    }

    private string Valid(Func<string> text)
    {
        try
        {
            return text();
        }
        catch (InvalidOperationException error)
        {
            throw new InvalidDataException($"{this} holds half of a surrogate pair; it must be valid Unicode.", error);
        }
    }

    private string Quote()
    {
        var text = Value.GetRawText();
        return text.Length <= LongestQuote ? text : text[..LongestQuote] + "…";
    }
}
