using System.Text;

namespace Tessera.Text.Tokenizers.Tests;

/// <summary>
/// What stands beside a tokenizer's file, merged as transformers does; right values are read from its source
/// (<c>tokenization_utils_base.py</c>, <c>tokenization_utils_fast.py</c>) by hand.
/// </summary>
public sealed class TokenizerSettingsTests : IDisposable
{
    private const string Config = "tokenizer_config.json", Map = "special_tokens_map.json", Added = "added_tokens.json";

    private readonly TemporaryFolder _folder = new();
    private readonly BytePairTokenizer _plain =
        BytePairTrainer.Train(["the cat"], new BytePairTrainerOptions(260, SpecialTokens: ["<s>", "</s>"]));

    public TokenizerSettingsTests() => _plain.Save(_folder.Path);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Markers_that_only_the_configuration_names_are_one_id_each()
    {
        Write(Config, """
            {
              "added_tokens_decoder": {
                "261": { "content": "<|im_end|>", "special": true, "lstrip": true }, "260": { "content": "<|im_start|>", "special": true },
                "262": { "content": "<tool>" }
              },
              "eos_token": "<|im_end|>", "bos_token": { "__type": "AddedToken", "content": "<s>" }
            }
            """);
        var tokenizer = Load();
        Assert.Equal([260, .. _plain.Encode("cat"), 261, 262], tokenizer.Encode("<|im_start|>cat  <|im_end|><tool>"));
        Assert.Equal((263, 0, 261), (tokenizer.VocabularySize, tokenizer.BeginId, tokenizer.EndId));
        Assert.Equal("cat<tool>", tokenizer.Decode(tokenizer.Encode("<|im_start|>cat<|im_end|><tool>"))); // special ones are left out
        using var other = new TemporaryFolder();
        tokenizer.Save(other.Path);
        Assert.Equal(tokenizer.Encode("a<|im_end|>"), Tokenizer.Load(other.Path).Encode("a<|im_end|>"));
        Assert.Equal(tokenizer.Encode("a<|im_end|>"), Tokenizer.Load(_folder.File("tokenizer.json")).Encode("a<|im_end|>"));
    }

    [Fact]
    public void What_the_configuration_says_of_a_token_counts_before_what_its_file_says()
    {
        Write(Config, """{ "added_tokens_decoder": { "1": { "content": "</s>", "special": true, "rstrip": true } } }""");
        Assert.Equal([1, .. _plain.Encode("cat")], Load().Encode("</s>  cat"));
        // The id is that of the text, and one that is another's is not taken twice.
        Write(Config, """{ "added_tokens_decoder": { "7": { "content": "</s>" }, "8": { "content": "<new>" } } }""");
        Assert.Equal([1, 260], Load().Encode("</s><new>"));
    }

    [Fact]
    public void A_role_makes_a_token_special_and_gives_the_next_id_to_one_that_is_none()
    {
        Write(Config, """
            {
              "pad_token": "[PAD]", "unk_token": "", "max_token": 3, "additional_special_tokens": ["cat"],
              "extra_special_tokens": { "image_token": "<image>" }
            }
            """);
        var tokenizer = Load();
        Assert.Equal([260], tokenizer.Encode("[PAD]"));
        Assert.Equal(260, tokenizer.PaddingId);
        Assert.Null(tokenizer.NamedRoles.Unknown);
        Assert.Equal(["cat", "<image>"], tokenizer.NamedRoles.Additional);
        Assert.Equal("", tokenizer.Decode(tokenizer.Encode("cat<image>")));
        Assert.Equal("<s>", tokenizer.TokenText(tokenizer.BeginId!.Value)); // by its name, as nothing is said
        Write(Config, """{ "bos_token": null }""");
        Assert.Null(Load().BeginId); // said to be none
    }

    [Fact]
    public void The_map_of_special_tokens_counts_before_the_configuration_unless_that_names_its_tokens()
    {
        Write(Map, """{ "eos_token": { "content": "<|im_end|>" }, "additional_special_tokens": ["<b>", { "content": "<c>" }] }""");
        Write(Config, """{ "eos_token": "</s>", "bos_token": "<s>", "additional_special_tokens": ["<a>"] }""");
        Write(Added, """{ "<|im_end|>": 263, "<note>": 264 }""");
        var tokenizer = Load();
        Assert.Equal((0, 263), (tokenizer.BeginId, tokenizer.EndId));
        Assert.Equal(["<a>", "<b>", "<c>"], tokenizer.NamedRoles.Additional);
        Assert.Equal("<note>", tokenizer.Decode(tokenizer.Encode("<|im_end|><note>")));
        Write(Config, """{ "eos_token": "</s>", "added_tokens_decoder": {} }""");
        Assert.Equal((1, 260), (Load().EndId, Load().VocabularySize));
    }

    [Fact]
    public void Tokens_around_a_text_are_those_that_the_configuration_says()
    {
        int[] cat = _plain.Encode("cat");
        Assert.Equal([0, .. cat], Load().EncodeSequence("cat")); // the file's own
        Write(Config, """{ "add_bos_token": false, "tokenizer_class": "LlamaTokenizerFast", "bos_token": "<s>", "eos_token": "</s>" }""");
        Assert.Equal(cat, Load().EncodeSequence("cat"));
        Write(Config, """{ "add_bos_token": true, "add_eos_token": true, "bos_token": "<s>", "eos_token": "</s>" }""");
        Assert.Equal([0, .. cat, 1], Load().EncodeSequence("cat"));
        Write(Config, """{ "add_bos_token": true, "bos_token": "</s>" }""");
        Assert.Equal([1, 0, .. cat], Load().EncodeSequence("cat"));

        var bare = BytePairTrainer.Train(["the cat"], new BytePairTrainerOptions(260, SpecialTokens: ["<x>", "</s>"]));
        bare.Save(_folder.Path);
        Write(Config, """{ "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<x>" }""");
        Assert.Equal(cat, Load().EncodeSequence("cat"));
        Write(Config, """{ "tokenizer_class": "LlamaTokenizer", "bos_token": "<x>", "eos_token": null, "add_eos_token": null }""");
        Assert.Equal([0, .. cat], Load().EncodeSequence("cat")); // its class adds one unless told otherwise
    }

    [Fact]
    public void Roles_that_a_class_takes_for_granted_are_those_that_the_vocabulary_has()
    {
        var tokenizer = BytePairTrainer.Train(["the cat"], new BytePairTrainerOptions(260, SpecialTokens: ["<|endoftext|>"]));
        tokenizer.Save(_folder.Path);
        Write(Config, """{ "tokenizer_class": "GPT2Tokenizer" }""");
        Assert.Equal(("<|endoftext|>", "<|endoftext|>"), (Load().NamedRoles.Begin, Load().NamedRoles.End));
        Write(Config, """{ "tokenizer_class": "GemmaTokenizer" }""");
        Assert.Empty(Load().NamedRoles.Named);
    }

    [Fact]
    public void A_model_of_sentencepiece_finds_tokens_of_the_files_beside_it()
    {
        using var folder = Pieces();
        var pieces = Tokenizer.Load(folder.File("tokenizer.model"));
        var size = pieces.VocabularySize;
        File.WriteAllText(folder.File(Added), $$"""{ "<|im_start|>": {{size}}, "<|im_end|>": {{size + 1}} }""");
        File.WriteAllText(folder.File(Map), """{ "bos_token": "<s>", "eos_token": "<|im_end|>", "unk_token": "<unk>" }""");
        File.WriteAllText(folder.File(Config), """{ "tokenizer_class": "LlamaTokenizer", "legacy": true }""");
        int[] us = pieces.Encode("user"), them = pieces.Encode("he is");
        Assert.NotEqual([1, .. us], pieces.Encode("<s>user")); // sentencepiece finds no control symbol in a text
        var tokenizer = Tokenizer.Load(folder.Path);
        Assert.Equal([1, .. them, size, .. us, size + 1], tokenizer.EncodeSequence("he is<|im_start|>user<|im_end|>"));
        Assert.Equal([1, .. us], tokenizer.Encode("<s>user")); // a role is found in texts, as templates write it
        Assert.Equal((1, size + 1), (tokenizer.BeginId, tokenizer.EndId));
        // One without a role is not special.
        Assert.Equal("he is<|im_start|> user", tokenizer.Decode(tokenizer.Encode("he is<|im_start|>user<|im_end|>")));

        File.WriteAllText(folder.File(Config), """{ "tokenizer_class": "LlamaTokenizer", "legacy": false, "add_bos_token": false }""");
        tokenizer = Tokenizer.Load(folder.Path);
        var ids = tokenizer.EncodeSequence("he is<|im_start|>user<|im_end|>");
        Assert.Equal([.. them, size], ids[..(them.Length + 1)]);
        Assert.Equal("user", string.Concat(ids[(them.Length + 1)..^1].Select(tokenizer.TokenText))); // no blank after a marker
        Assert.False(GgmlVocabulary.Of(tokenizer).AddsBegin);

        File.Delete(folder.File(Map));
        Assert.Equal([1, .. us[1..]], Tokenizer.Load(folder.Path).Encode("<s>user")); // a role that the class takes for granted
    }

    [Theory]
    [InlineData(Config, """{ "eos_token": 3 }""", "tokenizer_config.json: 'eos_token' is 3; it must be a text.")]
    [InlineData(Config, """{ "added_tokens_decoder": { "x": {} } }""", "'added_tokens_decoder' has 'x'; it must be an id")]
    [InlineData(Config, """{ "added_tokens_decoder": { "9": {} } }""", "'added_tokens_decoder.9.content' is missing.")]
    [InlineData(Config, """{ "added_tokens_decoder": { "999999999": { "content": "a" } } }""", "an id less than ")]
    [InlineData(Config, """{ "additional_special_tokens": "a" }""", "'additional_special_tokens' is \"a\"; it must be an object.")]
    [InlineData(Config, "[]", "tokenizer_config.json is []; it must be an object.")]
    [InlineData(Config, """{ "add_bos_token": "yes" }""", "'add_bos_token' is \"yes\"; it must be true or false.")]
    [InlineData(Added, """{ "a": -1 }""", "added_tokens.json: 'a' is -1; it must be an id")]
    [InlineData(Map, "{", "special_tokens_map.json is no valid JSON")]
    public void A_damaged_file_beside_the_tokenizer_is_named_with_its_key_and_value(string file, string content, string message)
    {
        Write(file, content);
        Assert.Contains(message, Assert.Throws<InvalidDataException>(Load).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Ranks_of_tiktoken_under_the_name_of_a_sentencepiece_model_are_said_to_be_what_they_are()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("tokenizer.model"), "IQ== 0\nIg== 1\nIw== 2\n");
        var error = Assert.Throws<InvalidDataException>(() => Tokenizer.Load(folder.Path));
        Assert.StartsWith($"{folder.File("tokenizer.model")}: is a", error.Message, StringComparison.Ordinal);
        Assert.Contains("tiktoken", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_symbol_that_holds_a_blank_matches_only_where_blanks_are_not_written_otherwise()
    {
        // sentencepiece looks for a user-defined symbol in normalized text, where "a b" is "▁a▁b" unless escape_whitespaces is false.
        using var folder = new TemporaryFolder();
        Assert.Equal(["▁", "a", "▁", "b"], Tokens(escapes: true));
        Assert.Equal([" ", "a b"], Tokens(escapes: false));

        string[] Tokens(bool escapes)
        {
            var blank = escapes ? "▁" : " ";
            byte[][] fields =
            [
                Piece("<unk>", PieceKind.Unknown), Piece(blank), Piece("a"), Piece("b"), Piece("a b", PieceKind.UserDefined),
                Field(2, [0x18, 2]), Field(3, escapes ? [] : [0x28, 0]),
            ];
            File.WriteAllBytes(folder.File("tokenizer.model"), [.. fields.SelectMany(field => field)]);
            var tokenizer = Tokenizer.Load(folder.Path);
            return [.. tokenizer.Encode("a b").Select(tokenizer.TokenText)];
        }

        static byte[] Piece(string text, PieceKind kind = PieceKind.Normal) =>
            Field(1, [.. Field(1, Encoding.UTF8.GetBytes(text)), 0x15, 0, 0, 0, 0, 0x18, (byte)kind]);

        static byte[] Field(int number, byte[] content) => [(byte)(number << 3 | 2), (byte)content.Length, .. content];
    }

    [Fact]
    public void Tokens_that_end_turns_are_known_by_their_names_but_for_harmonys_messages()
    {
        Assert.Equal([2, 3], Ends("a", "b", "<|im_end|>", "<|endoftext|>"));
        Assert.Equal([1], Ends("a", "<|end|>"));
        Assert.Equal([1, 2], Ends("a", "<|return|>", "<|call|>", "<|end|>"));

        static IReadOnlyList<int> Ends(params string[] tokens)
        {
            var tokenizer = new GgmlVocabulary("gpt2", tokens) { Merges = [] }.ToTokenizer("here");
            foreach (var end in tokens.Where(token => token.Length > 1)) Assert.Equal([tokenizer.Find(end)!.Value], tokenizer.Encode(end));
            return tokenizer.EndsByName;
        }
    }

    private static TemporaryFolder Pieces()
    {
        var folder = new TemporaryFolder();
        File.Copy(Path.Combine(TokenizerFixtures.Folder("spm-bpe"), "tokenizer.model"), folder.File("tokenizer.model"));
        return folder;
    }

    private Tokenizer Load() => Tokenizer.Load(_folder.Path);

    private void Write(string file, string content) => File.WriteAllText(_folder.File(file), content);
}
