namespace Tessera.Text.Templates;

/// <summary>The tokens of a template, read one after the other.</summary>
internal sealed class TemplateTokens(List<TemplateToken> tokens)
{
    private int _place;

    /// <summary>The number of tokens that were read.</summary>
    public int Place => _place;

    public TemplateToken Current => tokens[_place];

    public TemplateToken Next() => tokens[_place] is { Kind: TokenKind.End } end ? end : tokens[_place++];

    /// <summary>The names among the tokens that were read from a place on.</summary>
    public IReadOnlySet<string> NamesFrom(int place) =>
        tokens.Take(_place).Skip(place).Where(token => token.Kind == TokenKind.Name).Select(token => token.Text).ToHashSet();

    public bool Is(TokenKind kind, string? text = null) => Current.Kind == kind && (text is null || Current.Text == text);

    public bool IsSign(string sign) => Is(TokenKind.Sign, sign);

    public bool IsName(string name) => Is(TokenKind.Name, name);

    public bool TakeSign(string sign) => Take(IsSign(sign));

    public bool TakeName(string name) => Take(IsName(name));

    public void Expect(TokenKind kind, string text)
    {
        if (!Take(Is(kind, text))) throw Error($"expected '{text}', found '{Current.Text}'");
    }

    public string ExpectName() => Is(TokenKind.Name) ? Next().Text : throw Error($"expected a name, found '{Current.Text}'");

    public void ExpectName(string name) => Expect(TokenKind.Name, name);

    public TemplateException Error(string message) => new(TemplateErrorKind.SyntaxError, message, Current.Line);

    private bool Take(bool fits)
    {
        if (fits) _place++;
        return fits;
    }
}
