using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// The ids a model expects around a text; the <c>post_processor</c> of <c>tokenizer.json</c>. Of a template only the
/// form for one text is read; the whole is kept as it was found and written back so.
/// </summary>
internal sealed class PostProcessor
{
    private readonly string _place;
    private readonly JsonElement _section;

    private PostProcessor(JsonPart part, int[] before, int[] after)
    {
        (_place, _section) = (part.ToString(), part.Value.Clone());
        (Before, After) = (before, after);
    }

    /// <summary>The ids before a text.</summary>
    public int[] Before { get; }

    /// <summary>The ids after a text.</summary>
    public int[] After { get; }

    /// <summary>Reads the section.</summary>
    public static PostProcessor Read(JsonPart part)
    {
        var (before, after) = ReadAround(part);
        return new PostProcessor(part, before, after);
    }

    /// <summary>What puts ids around a text, written as Hugging Face's template has it.</summary>
    /// <param name="before">The ids before a text.</param>
    /// <param name="after">The ids after it.</param>
    /// <param name="textOf">The tokens of these ids.</param>
    public static PostProcessor Of(int[] before, int[] after, Func<int, string> textOf)
    {
        var special_tokens = before.Concat(after).Distinct().ToDictionary(
            textOf, id => new { id = textOf(id), ids = (int[])[id], tokens = (string[])[textOf(id)] });
        object[] single = [.. before.Select(Special), Sequence("A", 0), .. after.Select(Special)];
        object[] second = [.. before.Select(Special), Sequence("B", 1), .. after.Select(Special)];
        var section = new { type = "TemplateProcessing", single, pair = (object[])[.. single, .. second], special_tokens };
        return Read(new JsonPart("post_processor", JsonSerializer.SerializeToElement(section)));

        object Special(int id) => new { SpecialToken = new { id = textOf(id), type_id = 0 } };

        static object Sequence(string id, int type) => new { Sequence = new { id, type_id = type } };
    }

    /// <summary>Checks that each id is a token's.</summary>
    /// <exception cref="InvalidDataException">One is not.</exception>
    public void Check(Tokenizer tokenizer)
    {
        foreach (var id in (int[])[.. Before, .. After])
        {
            if (tokenizer.Contains(id)) continue;
            throw new InvalidDataException(
                $"{_place} adds id {id}, which is no token's; ids go to {tokenizer.VocabularySize - 1}.");
        }
    }

    /// <summary>Writes the section as it was read.</summary>
    public void Write(Utf8JsonWriter writer) => _section.WriteTo(writer);

    private static (int[] Before, int[] After) ReadAround(JsonPart part)
    {
        var kind = part.Required("type");
        switch (kind.Text())
        {
            case "ByteLevel":
                return ([], []);
            case "RobertaProcessing" or "BertProcessing":
                return ([NamedId(part.Required("cls"))], [NamedId(part.Required("sep"))]);
            case "TemplateProcessing":
                return ReadTemplate(part);
            case "Sequence":
                int[] before = [], after = [];
                foreach (var step in part.Required("processors").Items())
                {
                    var outer = ReadAround(step);
                    (before, after) = ([.. outer.Before, .. before], [.. after, .. outer.After]);
                }

                return (before, after);
            default:
                throw kind.Unsupported("ByteLevel, RobertaProcessing, BertProcessing, TemplateProcessing or Sequence");
        }
    }

    /// <summary>The id in <c>["&lt;s&gt;", 0]</c>.</summary>
    private static int NamedId(JsonPart part)
    {
        var items = part.Items().ToArray();
        return items.Length == 2 ? items[1].Id() : throw part.Wrong("a token and its id");
    }

    private static (int[] Before, int[] After) ReadTemplate(JsonPart part)
    {
        List<int> before = [], after = [];
        var texts = 0;
        foreach (var item in part.Required("single").Items())
        {
            if (item.Optional("Sequence") is not null)
            {
                texts++;
                continue;
            }

            var name = item.Required("SpecialToken").Required("id").Text();
            var ids = part.Required("special_tokens").Required(name).Required("ids").Items().Select(id => id.Id());
            (texts == 0 ? before : after).AddRange(ids);
        }

        if (texts != 1) throw part.Required("single").Wrong("a template that has its text once");
        return ([.. before], [.. after]);
    }
}
