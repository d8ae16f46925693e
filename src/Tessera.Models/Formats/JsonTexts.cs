using System.Text.Json;

namespace Tessera.Models.Formats;

/// <summary>The texts of JSON from strangers.</summary>
internal static class JsonTexts
{
    /// <summary>What is wrong with a text that is none, for messages.</summary>
    public const string NotUnicode = "holds a text that is not Unicode: half of a surrogate pair, written \\ud800 to \\udfff";

    /// <summary>Why a text is not JSON, without the place, which the exception has beside it.</summary>
    public static string Reason(JsonException error) => error.Message switch
    {
        var said when said.Contains("does not contain any JSON tokens", StringComparison.Ordinal) => "there is nothing",
        var said when said.Contains("Expected depth to be zero", StringComparison.Ordinal) => "it ends before the last { or [ is closed",
        var said when said.Contains("reached end of data", StringComparison.Ordinal) => "it ends too early",
        var said => said.Split(" Path: ")[0].Split(" LineNumber: ")[0].TrimEnd('.', ' '),
    };

    /// <summary>Goes through all keys and texts: .NET parses JSON whose texts it then cannot read.</summary>
    /// <exception cref="InvalidOperationException">One is half of a surrogate pair.</exception>
    public static void RequireUnicode(JsonElement json)
    {
        switch (json.ValueKind)
        {
            case JsonValueKind.String: json.GetString(); break;
            case JsonValueKind.Array:
                foreach (var item in json.EnumerateArray()) RequireUnicode(item);
                break;
            case JsonValueKind.Object:
                foreach (var member in json.EnumerateObject())
                {
                    _ = member.Name;
                    RequireUnicode(member.Value);
                }

                break;
        }
    }
}
