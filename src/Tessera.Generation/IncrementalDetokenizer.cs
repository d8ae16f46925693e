using Tessera.Text.Tokenizers;

namespace Tessera.Generation;

/// <summary>Turns tokens into text as they come; holds back a character until all its bytes are there.</summary>
internal sealed class IncrementalDetokenizer(Tokenizer tokenizer)
{
    private const char Replacement = '\uFFFD';
    private const int LongestCharacter = 4;

    private readonly List<int> _ids = [];
    private int _shown;

    /// <summary>The text that a further token adds; empty where it only begins a character.</summary>
    public string Add(int id)
    {
        _ids.Add(id);
        var text = tokenizer.Decode([.. _ids]);
        // A replacement character at the end may be the beginning of one whose other bytes are still to come.
        var end = text.Length;
        while (end > _shown && text.Length - end < LongestCharacter && text[end - 1] == Replacement) end--;
        return Take(text, end);
    }

    /// <summary>What was held back, at the end.</summary>
    public string Rest()
    {
        var text = tokenizer.Decode([.. _ids]);
        return Take(text, text.Length);
    }

    private string Take(string text, int end)
    {
        var piece = text[_shown..end];
        _shown = end;
        return piece;
    }
}
