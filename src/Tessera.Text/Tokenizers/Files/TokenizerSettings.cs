using System.Globalization;
using System.Text.Json;

namespace Tessera.Text.Tokenizers;

/// <summary>
/// What stands beside a tokenizer's file, merged as transformers does (<c>PreTrainedTokenizerBase._from_pretrained</c>):
/// <list type="bullet">
/// <item><c>tokenizer_config.json</c>: roles, <c>added_tokens_decoder</c>, <c>add_bos_token</c>, <c>add_eos_token</c>;</item>
/// <item>where it has no <c>added_tokens_decoder</c>, <c>special_tokens_map.json</c>, whose roles count before, and
/// <c>added_tokens.json</c>;</item>
/// <item>what <c>tokenizer_class</c> takes for granted, see <see cref="TokenizerClass"/>.</item>
/// </list>
/// What is null or empty is not there.
/// </summary>
internal sealed class TokenizerSettings
{
    private const string ConfigName = "tokenizer_config.json", MapName = "special_tokens_map.json", AddedName = "added_tokens.json",
        ModelConfigName = "config.json", AdditionalKey = "additional_special_tokens",
        ExtraKey = "extra_special_tokens", DecoderKey = "added_tokens_decoder";

    private static readonly string[] _roles =
        ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

    private readonly Dictionary<string, string?> _named = new(StringComparer.Ordinal);
    private readonly List<string> _additional = [];
    private readonly List<(JsonPart Place, AddedToken Token)> _declared = [];
    private readonly bool _isThere;
    private readonly TokenizerClass? _class;
    private readonly bool? _addsBegin, _addsEnd, _isLegacy;

    private TokenizerSettings(string folder)
    {
        using var config = Open(folder, ConfigName);
        using var map = Open(folder, MapName);
        using var added = Open(folder, AddedName);
        _isThere = config is not null || map is not null || added is not null || File.Exists(Path.Combine(folder, ModelConfigName));
        var (said, decoder) = (PartOf(config, folder, ConfigName), default(JsonPart));
        if (said is not null)
        {
            ReadRoles(said);
            decoder = said.Optional(DecoderKey);
            _class = TokenizerClass.Of(said.Optional("tokenizer_class")?.Text());
            (_addsBegin, _addsEnd) = (Flag(said, "add_bos_token"), Flag(said, "add_eos_token"));
            _isLegacy = Flag(said, "legacy");
        }

        if (decoder is not null)
        {
            ReadDecoder(decoder);
            return;
        }

        if (PartOf(map, folder, MapName) is { } roles) ReadRoles(roles);
        if (PartOf(added, folder, AddedName) is { } tokens) ReadAdded(tokens);
    }

    /// <summary>What stands beside a file.</summary>
    /// <exception cref="InvalidDataException">One of the files is damaged.</exception>
    public static TokenizerSettings Beside(string file) => new(Path.GetDirectoryName(Path.GetFullPath(file))!);

    /// <summary>Whether a sentencepiece model puts a blank before every stretch between added tokens, not only before the
    /// first.</summary>
    public bool BlanksEveryStretch => _isLegacy ?? true;

    /// <summary>A tokenizer's parts with what the files beside it add.</summary>
    /// <param name="parts">Those that its own file gives.</param>
    /// <param name="vocabulary">The model's tokens.</param>
    /// <param name="asked">Roles that the caller names; they count before those of the files.</param>
    /// <param name="isBare">Whether the tokenizer's own file has no place for tokens around a text.</param>
    public TokenizerParts Merge(TokenizerParts parts, Vocabulary vocabulary, TokenRoles? asked, bool isBare)
    {
        if (!_isThere) return parts with { Roles = asked ?? parts.Roles, NamedRoles = asked ?? parts.NamedRoles };
        var tokens = new AddedTokenList(parts, vocabulary);
        var special = _named.Values.OfType<string>().Concat(_additional).ToHashSet(StringComparer.Ordinal);
        foreach (var (place, token) in _declared.OrderBy(declared => declared.Token.Id))
        {
            // Beside a model of sentencepiece all are looked for in texts as they stand.
            var isNormalized = token.Normalized && !isBare;
            tokens.Put(token with { Special = token.Special || special.Contains(token.Text), Normalized = isNormalized }, place);
        }

        foreach (var text in special) tokens.Require(text);

        var named = Roles(tokens.Knows);
        foreach (var (_, text) in named.Named) tokens.Require(text);
        parts = tokens.Into(parts) with { Roles = asked ?? Guessed(named, parts.Roles, tokens.Added), NamedRoles = asked ?? named };
        return parts with { PostProcessor = Around(parts, tokens, isBare) };
    }

    /// <summary>The roles that files or the class name.</summary>
    private TokenRoles Roles(Func<string, bool> isKnown)
    {
        return new TokenRoles(Role("pad_token"), Role("bos_token"), Role("eos_token"))
        {
            Unknown = Role("unk_token"), Separator = Role("sep_token"), Classification = Role("cls_token"), Mask = Role("mask_token"),
            Additional = _additional,
        };

        string? Role(string key) => _named.TryGetValue(key, out var name) ? name
            : _class?.Roles.GetValueOrDefault(key) is { } usual && isKnown(usual) ? usual : null;
    }

    /// <summary>Where nothing is said about a role, what the tokenizer's own file says, or the name of a well known token.</summary>
    private TokenRoles Guessed(TokenRoles named, TokenRoles? own, IReadOnlyCollection<AddedToken> added)
    {
        var usual = own ?? TokenRoles.ByName(added);
        return named with
        {
            Padding = named.Padding ?? Unsaid("pad_token", usual.Padding),
            Begin = named.Begin ?? Unsaid("bos_token", usual.Begin),
            End = named.End ?? Unsaid("eos_token", usual.End),
        };

        string? Unsaid(string key, string? otherwise) => _named.ContainsKey(key) ? null : otherwise;
    }

    /// <summary>The tokens around a text: <c>add_bos_token</c> and <c>add_eos_token</c> count before the tokenizer's own file.</summary>
    private PostProcessor? Around(TokenizerParts parts, AddedTokenList tokens, bool isBare)
    {
        // A model of sentencepiece has no place for it; its texts have a beginning unless told otherwise.
        var adds = (
            Begin: _addsBegin ?? _class?.AddsBegin ?? (isBare ? true : null), End: _addsEnd ?? _class?.AddsEnd ?? (isBare ? false : null));
        if (adds is (null, null)) return parts.PostProcessor;
        var (before, after) = (parts.PostProcessor?.Before ?? [], parts.PostProcessor?.After ?? []);
        if (IdOf(parts.Roles?.Begin) is { } begin && adds.Begin is { } begins)
            before = begins ? before.Contains(begin) ? before : [begin, .. before] : [.. before.Where(id => id != begin)];
        if (IdOf(parts.Roles?.End) is { } end && adds.End is { } ends)
            after = ends ? after.Contains(end) ? after : [.. after, end] : [.. after.Where(id => id != end)];
        var isSame = parts.PostProcessor is { } own && own.Before.SequenceEqual(before) && own.After.SequenceEqual(after);
        return isSame ? parts.PostProcessor : PostProcessor.Of(before, after, tokens.TextOf);

        int? IdOf(string? token) => token is null ? null : tokens.Find(token);
    }

    private void ReadRoles(JsonPart file)
    {
        foreach (var (key, value) in file.Members())
        {
            var kind = value.Value.ValueKind;
            if (key is AdditionalKey or ExtraKey)
            {
                if (kind == JsonValueKind.Array) AddFurther(value.Items());
                else if (kind != JsonValueKind.Null) AddFurther(value.Members().Select(role => role.Value));
            }
            else if (_roles.Contains(key))
            {
                _named[key] = TextOf(value);
            }
        }

        void AddFurther(IEnumerable<JsonPart> tokens) =>
            _additional.AddRange(tokens.Select(TextOf).OfType<string>().Except(_additional, StringComparer.Ordinal).ToList());
    }

    /// <summary>A special token: a text, or an object whose <c>content</c> it is. Null where it is null or empty.</summary>
    private static string? TextOf(JsonPart token)
    {
        if (token.Value.ValueKind == JsonValueKind.Null) return null;
        var text = token.Value.ValueKind == JsonValueKind.Object ? token.Optional("content")?.Text() : token.Text();
        return text is null or "" ? null : text;
    }

    private void ReadDecoder(JsonPart decoder)
    {
        foreach (var (key, value) in decoder.Members())
        {
            if (!int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out var id))
                throw new InvalidDataException($"{decoder} has '{key}'; it must be an id from 0 to {int.MaxValue}.");
            var token = AddedToken.Read(value, id);
            if (token.Text.Length > 0) _declared.Add((value, token));
        }
    }

    private void ReadAdded(JsonPart added)
    {
        var special = _named.Values.Concat(_additional).ToHashSet(StringComparer.Ordinal);
        foreach (var (text, value) in added.Members().Where(member => member.Name.Length > 0))
        {
            var isSpecial = special.Contains(text);
            _declared.Add((value, new AddedToken(text, value.Id(), isSpecial, Normalized: !isSpecial)));
        }
    }

    private static bool? Flag(JsonPart part, string name) => part.Optional(name) is null ? null : part.Flag(name, otherwise: false);

    private static JsonPart? PartOf(JsonDocument? document, string folder, string name)
    {
        if (document is null || document.RootElement.ValueKind == JsonValueKind.Null) return null;
        var part = new JsonPart(Path.Combine(folder, name), document.RootElement.Clone()); // outlives the document
        return document.RootElement.ValueKind == JsonValueKind.Object ? part : throw part.Wrong("an object");
    }

    private static JsonDocument? Open(string folder, string name)
    {
        var path = Path.Combine(folder, name);
        return File.Exists(path) ? TokenizerFile.Parse(path, new JsonDocumentOptions { AllowTrailingCommas = true }) : null;
    }
}
