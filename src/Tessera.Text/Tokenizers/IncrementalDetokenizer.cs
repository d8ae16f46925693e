using System.Runtime.InteropServices;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// The text of tokens as they come. A piece is given as soon as no later token can change it, so the pieces after any number of
/// tokens, and what <see cref="Finish"/> adds, are together what <see cref="Tokenizer.Decode"/> gives for these tokens. Held back are
/// the bytes of a character that is not whole, and the last token where it ends in the suffix of words. A token costs as much after
/// many as after few. Not for several threads at once.
/// </summary>
public sealed class IncrementalDetokenizer
{
    /// <summary>Every so many tokens the place in the text is kept, for going back to.</summary>
    private const int TokensBetweenPlaces = 64;

    private readonly Tokenizer _tokenizer;
    private readonly List<int> _ids;
    private readonly List<string> _pieces = [];
    private Place _now;
    private Place? _before, _longBefore;
    private bool _isFinished;

    /// <summary>Begins a text.</summary>
    /// <param name="tokenizer">Whose tokens they are.</param>
    public IncrementalDetokenizer(Tokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        (_tokenizer, _ids, _now) = (tokenizer, [], new Place(0, 0, tokenizer.BeginDecoding()));
    }

    private IncrementalDetokenizer(IncrementalDetokenizer other)
    {
        (_tokenizer, _ids, _now) = (other._tokenizer, [.. other._ids], other._now.Fork());
        // Kept places are never changed, so both may have them.
        (_before, _longBefore, _isFinished) = (other._before, other._longBefore, other._isFinished);
    }

    /// <summary>How many tokens there are.</summary>
    public int Tokens => _ids.Count;

    /// <summary>How many characters (of UTF-16) have been given for them.</summary>
    public int Length => _now.Length;

    /// <summary>Takes the next token.</summary>
    /// <param name="id">Any id; special tokens, and ids that are no token's, have no text.</param>
    /// <returns>The text that is settled by it; often empty, and it may begin with what was held back before.</returns>
    /// <exception cref="InvalidOperationException">The text is finished.</exception>
    public string Add(int id)
    {
        if (_isFinished) throw new InvalidOperationException("the text is finished: no token can be added unless it is rolled back");
        if (Tokens - (_before?.Tokens ?? 0) >= TokensBetweenPlaces) (_longBefore, _before) = (_before, _now.Fork());
        _ids.Add(id);
        return Read(id);
    }

    /// <summary>Ends the text and gives what was held back of it; nothing the second time.</summary>
    public string Finish()
    {
        if (_isFinished) return "";
        _isFinished = true;
        _pieces.Clear();
        _now.Step.Finish(_pieces);
        return Given();
    }

    /// <summary>
    /// Takes back the last tokens, and a <see cref="Finish"/> with them. Text that was given stays given only as far as the tokens
    /// that are left settle it: the caller takes back so many characters from the end of what it has. Up to 64 tokens cost as much
    /// as reading 64 once more; a longer way back, as reading all that are left.
    /// </summary>
    /// <param name="tokens">How many; 0 to <see cref="Tokens"/>.</param>
    /// <returns>How many characters at the end of the text given no longer stand.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There are not so many tokens.</exception>
    public int Rollback(int tokens)
    {
        if (tokens < 0 || tokens > Tokens)
        {
            throw new ArgumentOutOfRangeException(
                nameof(tokens), tokens, $"{tokens} tokens cannot be taken back; allowed: 0 to {Tokens}, as many as there are");
        }

        var (length, left) = (Length, Tokens - tokens);
        if (tokens == 0 && !_isFinished) return 0;
        if (_before?.Tokens > left) (_before, _longBefore) = (_longBefore, null);
        if (_before?.Tokens > left) _before = null;
        _now = _before?.Fork() ?? new Place(0, 0, _tokenizer.BeginDecoding());
        _isFinished = false;
        CollectionsMarshal.SetCount(_ids, left);
        for (var i = _now.Tokens; i < left; i++) Read(_ids[i]);
        return length - Length;
    }

    /// <summary>The same tokens once more; both go on by themselves.</summary>
    public IncrementalDetokenizer Fork() => new(this);

    private string Read(int id)
    {
        _pieces.Clear();
        _now.Tokens++;
        if (_tokenizer.DecodedToken(id) is { } token) _now.Step.Add(token, _pieces);
        return Given();
    }

    private string Given()
    {
        var text = _pieces.Count == 1 ? _pieces[0] : string.Concat(_pieces);
        _now.Length += text.Length;
        return text;
    }

    /// <summary>A place in the text.</summary>
    /// <param name="tokens">Tokens before it.</param>
    /// <param name="length">Characters that they have given.</param>
    /// <param name="step">Decodes what comes next.</param>
    private sealed class Place(int tokens, int length, DecoderStep step)
    {
        public int Tokens { get; set; } = tokens;

        public int Length { get; set; } = length;

        public DecoderStep Step { get; } = step;

        public Place Fork() => new(Tokens, Length, Step.Fork());
    }
}
