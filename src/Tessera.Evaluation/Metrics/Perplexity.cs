namespace Tessera.Evaluation.Metrics;

/// <summary>
/// How surprised a language model is by a text, from the summed negative log-likelihood of its tokens. Add the measures of
/// several texts with <c>+</c> before reading a mean: means of means are not the corpus's.
/// </summary>
/// <param name="Nats">Sum over the tokens of <c>−ln p(token | those before)</c>, at least 0; not a mean.</param>
/// <param name="Tokens">How many tokens were predicted, of which a first token without context is none.</param>
/// <param name="Bytes">UTF-8 bytes of the text these tokens spell; 0 where nobody counted.</param>
public readonly record struct Perplexity(double Nats, long Tokens, long Bytes = 0)
{
    /// <summary>
    /// <c>exp(nats / tokens)</c>: 1 for a certain model, the vocabulary's size for one that guesses evenly. NaN without tokens.
    /// </summary>
    public double Value => Tokens > 0 ? Math.Exp(Nats / Tokens) : double.NaN;

    /// <summary>Mean loss, <c>nats / (tokens · ln 2)</c>, in bits a token. NaN without tokens.</summary>
    public double BitsPerToken => Tokens > 0 ? Nats / (Tokens * Math.Log(2)) : double.NaN;

    /// <summary>
    /// <c>nats / (bytes · ln 2)</c>, which models with different tokenizers can be compared by. NaN where bytes are not known.
    /// </summary>
    public double BitsPerByte => Bytes > 0 ? Nats / (Bytes * Math.Log(2)) : double.NaN;

    /// <summary>The measure of two texts together; its bytes are known only where both are.</summary>
    public static Perplexity operator +(Perplexity left, Perplexity right)
    {
        var bytesKnown = (left.Tokens == 0 || left.Bytes > 0) && (right.Tokens == 0 || right.Bytes > 0);
        return new Perplexity(left.Nats + right.Nats, left.Tokens + right.Tokens, bytesKnown ? left.Bytes + right.Bytes : 0);
    }
}
