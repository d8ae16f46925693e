using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Tessera.Nn;

namespace Tessera.Training.Phases;

/// <summary>
/// How long the rows of batches may be: a number, or an object that lets the length grow or shrink over the phase, by its steps or
/// its time, token by token. Each whole length takes its share of the phase, the last included; where the length changes, a new
/// pass over the data begins.
/// <para>Platanios et al. 2019, <see href="https://arxiv.org/abs/1903.09848"/>, with the length of a sentence for its difficulty.</para>
/// </summary>
/// <param name="From">The first length, in tokens.</param>
/// <param name="To">The last length, in tokens.</param>
/// <param name="Schedule">How it gets from one to the other.</param>
[JsonConverter(typeof(LengthScheduleConverter))]
public sealed record LengthSchedule(int From, int To, LengthCurve Schedule = LengthCurve.Linear)
{
    /// <summary>The shortest.</summary>
    internal int Min => Math.Min(From, To);

    /// <summary>The longest.</summary>
    internal int Max => Math.Max(From, To);

    /// <summary>A length that stays.</summary>
    public static implicit operator LengthSchedule(int length) => new(length, length);

    /// <summary>The length at a place in the phase.</summary>
    /// <param name="progress">The share of the phase that is done, from 0 to 1.</param>
    public int At(double progress)
    {
        var share = Schedule == LengthCurve.SquareRoot ? Math.Sqrt(progress) : progress;
        var steps = Math.Min((int)(share * (Max - Min + 1)), Max - Min);
        return From <= To ? From + steps : From - steps;
    }

    /// <summary>The JSON schema of the number and the object.</summary>
    internal static JsonNode Schema()
    {
        var curves = Enum.GetNames<LengthCurve>().Select(name => (JsonNode)JsonNamingPolicy.KebabCaseLower.ConvertName(name));
        return new JsonObject
        {
            ["anyOf"] = new JsonArray(
                new JsonObject { ["type"] = new JsonArray("integer", "null") },
                new JsonObject
                {
                    ["type"] = "object",
                    ["properties"] = new JsonObject
                    {
                        ["from"] = new JsonObject { ["type"] = "integer" }, ["to"] = new JsonObject { ["type"] = "integer" },
                        ["schedule"] = new JsonObject { ["enum"] = new JsonArray([.. curves]) },
                    },
                    ["additionalProperties"] = false,
                    ["required"] = new JsonArray("from", "to"),
                }),
        };
    }

    internal void Validate(string path, int least)
    {
        const int Most = 1 << 20;
        if (From == To) Require(From, path);
        Require(From, $"{path}.from");
        Require(To, $"{path}.to");

        void Require(int found, string place)
        {
            if (found < least || found > Most) throw new RecipeException(place, $"is {found}; allowed: {least} to {Most}");
        }
    }
}

/// <summary>How a length gets from the first to the last.</summary>
public enum LengthCurve
{
    /// <summary>In a straight line.</summary>
    Linear,

    /// <summary>With the square root of the share of the phase that is done: faster at first.</summary>
    SquareRoot,
}

/// <summary>Reads and writes a length that stays as a number.</summary>
internal sealed class LengthScheduleConverter : JsonConverter<LengthSchedule>
{
    private const string Expected = "a whole number, or an object { \"from\", \"to\" }";

    /// <inheritdoc/>
    public override LengthSchedule Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        using var json = JsonDocument.ParseValue(ref reader);
        var value = json.RootElement;
        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var length)) return length;
        if (value.ValueKind != JsonValueKind.Object) throw Unknown(value, Expected);
        int? from = null, to = null;
        var curve = LengthCurve.Linear;
        foreach (var member in value.EnumerateObject())
        {
            switch (member.Name)
            {
                case "from": from = Whole(member.Value, "from"); break;
                case "to": to = Whole(member.Value, "to"); break;
                case "schedule": curve = Curve(member.Value, options); break;
                default: throw new JsonException($"has the key {member.Name}; allowed: from, to, schedule");
            }
        }

        return from is null || to is null
            ? throw new JsonException($"lacks {(from is null ? "from" : "to")}; expected {Expected}")
            : new LengthSchedule(from.Value, to.Value, curve);
    }

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, LengthSchedule value, JsonSerializerOptions options)
    {
        if (value.From == value.To)
        {
            writer.WriteNumberValue(value.From);
            return;
        }

        writer.WriteStartObject();
        writer.WriteNumber("from", value.From);
        writer.WriteNumber("to", value.To);
        writer.WritePropertyName("schedule");
        JsonSerializer.Serialize(writer, value.Schedule, options);
        writer.WriteEndObject();
    }

    private static int Whole(JsonElement value, string key) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var whole) ? whole : throw Unknown(value, "a whole number", key);

    private static LengthCurve Curve(JsonElement value, JsonSerializerOptions options)
    {
        try
        {
            return value.Deserialize<LengthCurve>(options);
        }
        catch (JsonException)
        {
            var allowed = string.Join(", ", Enum.GetNames<LengthCurve>().Select(JsonNamingPolicy.KebabCaseLower.ConvertName));
            throw Unknown(value, $"one of {allowed}", "schedule");
        }
    }

    private static JsonException Unknown(JsonElement value, string expected, string key = "") =>
        new($"{(key.Length == 0 ? "is" : $"has {key}")} {value.GetRawText()}; expected {expected}");
}
