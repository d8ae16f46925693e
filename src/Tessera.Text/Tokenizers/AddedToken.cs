namespace Tessera.Text.Tokenizers;

/// <summary>A token that is found in a text before anything else is done to it, such as <c>&lt;/s&gt;</c>.</summary>
/// <param name="Text">What is looked for; not empty.</param>
/// <param name="Id">Its id, at least 0.</param>
/// <param name="Special">Whether decoding leaves it out.</param>
/// <param name="SingleWord">Whether it is found only where no letter, digit or <c>_</c> touches it.</param>
/// <param name="TrimsLeft">Whether it takes the white space before it (<c>lstrip</c>).</param>
/// <param name="TrimsRight">Whether it takes the white space after it (<c>rstrip</c>).</param>
/// <param name="Normalized">Whether it is looked for, normalized itself, in the normalized text.</param>
public sealed record AddedToken(
    string Text,
    int Id,
    bool Special = true,
    bool SingleWord = false,
    bool TrimsLeft = false,
    bool TrimsRight = false,
    bool Normalized = false)
{
    /// <summary>Reads a token of <c>tokenizer.json</c> or of <c>added_tokens_decoder</c>.</summary>
    /// <param name="part">The object.</param>
    /// <param name="id">Its id.</param>
    internal static AddedToken Read(JsonPart part, int id)
    {
        var special = part.Flag("special", otherwise: false);
        return new AddedToken(
            part.Required("content").Text(), id, special, part.Flag("single_word", otherwise: false),
            part.Flag("lstrip", otherwise: false), part.Flag("rstrip", otherwise: false), part.Flag("normalized", otherwise: !special));
    }
}
