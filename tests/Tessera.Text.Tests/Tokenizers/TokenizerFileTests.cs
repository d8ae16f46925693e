using System.Text.Json;
using System.Text.Json.Nodes;

namespace Tessera.Text.Tokenizers.Tests;

public class TokenizerFileTests
{
    private const string Small =
        """
        {
          "version": "1.0", "truncation": null, "padding": null,
          "added_tokens": [
            { "id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "special": true },
            { "id": 6, "content": "<go>", "single_word": false, "lstrip": false, "rstrip": false, "special": false } ],
          "normalizer": null,
          "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
          "post_processor": { "type": "TemplateProcessing",
            "single": [ { "SpecialToken": { "id": "<s>", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } } ],
            "pair": [],
            "special_tokens": { "<s>": { "id": "<s>", "ids": [ 0 ], "tokens": [ "<s>" ] } } },
          "decoder": { "type": "ByteLevel" },
          "model": { "type": "BPE", "dropout": null, "unk_token": null,
            "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": { "<s>": 0, "a": 1, "b": 2, "c": 3, "ab": 4, "abc": 5 }, "merges": [ "a b", [ "ab", "c" ] ] }
        }
        """;

    private const string Split = """{ "type": "Split", "pattern": """;

    [Fact]
    public void A_small_file_is_read()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("tokenizer.json"), Small);
        var tokenizer = Tokenizer.Load(folder.Path, new TokenRoles(End: "<go>"));
        // Bytes without a token are dropped where the model names no unknown token.
        Assert.Equal([0, 5, 6, 4, 2], tokenizer.EncodeSequence("abc<go>abzb"));
        Assert.Equal((null, null, 6), (tokenizer.PaddingId, tokenizer.BeginId, tokenizer.EndId));
        Assert.Equal(7, tokenizer.VocabularySize);
        Assert.Equal(0, Tokenizer.Load(folder.Path).BeginId);
        Assert.Equal(["<s>", "<go>"], tokenizer.AddedTokens.Select(token => token.Text));
    }

    [Fact]
    public void A_trained_tokenizer_comes_back_from_its_file()
    {
        using var folder = new TemporaryFolder();
        var lines = TokenizerFixtures.TrainingLines();
        var trained = BytePairTrainer.Train(lines, new BytePairTrainerOptions(500));
        trained.Save(folder.File("mine.json"));
        var loaded = Tokenizer.Load(folder.File("mine.json"));
        Assert.Equal(trained.VocabularySize, loaded.VocabularySize);
        Assert.Equal((0, 1, 2), (loaded.PaddingId, loaded.BeginId, loaded.EndId));
        foreach (var line in lines) Assert.Equal([1, .. trained.Encode(line)], loaded.EncodeSequence(line));
    }

    [Fact]
    public void A_tokenizer_of_characters_comes_back_from_its_file()
    {
        using var folder = new TemporaryFolder();
        var preTokenizer = new PreTokenizerSequence(new WhitespacePreTokenizer(), new SplitPreTokenizer("[aeiou]"));
        var options = new BytePairTrainerOptions(
            400,
            SpecialTokens: ["<unk>"],
            PreTokenizer: preTokenizer,
            Normalizer: new LowercaseNormalizer(),
            UnknownToken: "<unk>");
        var lines = TokenizerFixtures.TrainingLines();
        var trained = BytePairTrainer.Train(lines.Take(100), options);
        trained.Save(folder.Path);
        var loaded = Tokenizer.Load(folder.Path);
        foreach (var line in lines) Assert.Equal(trained.Encode(line), loaded.Encode(line));
        Assert.Equal("r e t u r n", loaded.Decode(loaded.Encode("R e t\u0007u r n")));
    }

    [Fact]
    public void A_file_is_replaced_as_a_whole()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("tokenizer.json");
        File.WriteAllText(path, "old");
        BytePairTrainer.Train(["text"], new BytePairTrainerOptions(300)).Save(path);
        Tokenizer.Load(path);
        Assert.Equal([path], Directory.GetFiles(folder.Path));
        Assert.ThrowsAny<IOException>(() => Tokenizer.Load(path).Save(folder.File("no/such/folder.json")));
    }

    [Fact]
    public void Nothing_is_left_behind_where_a_file_cannot_be_written()
    {
        using var folder = new TemporaryFolder();
        // A folder stands where the file should go.
        Directory.CreateDirectory(folder.File("tokenizer.json"));
        var tokenizer = BytePairTrainer.Train(["text"], new BytePairTrainerOptions(300));
        Assert.ThrowsAny<Exception>(() => tokenizer.Save(folder.Path));
        Assert.Empty(Directory.GetFiles(folder.Path));
    }

    [Fact]
    public void Missing_files_and_roles_are_named()
    {
        using var folder = new TemporaryFolder();
        Assert.Throws<FileNotFoundException>(() => Tokenizer.Load(folder.File("none.json")));
        Assert.Throws<FileNotFoundException>(() => Tokenizer.Load(folder.Path));
        File.WriteAllText(folder.File("tokenizer.json"), Small);
        var roles = new TokenRoles(Padding: "<pad>");
        var error = Assert.Throws<ArgumentException>(() => Tokenizer.Load(folder.Path, roles));
        Assert.Contains("<pad>", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("model.vocab.c", "4", "model.vocab.ab", "'c'")]
    [InlineData("model.vocab.c", "-1", "model.vocab.c", "-1")]
    [InlineData("model.vocab.c", "2147483647", "model.vocab.c", "2147483647")]
    [InlineData("model.vocab.c", "70000", "model.vocab.c", "70000")]
    [InlineData("model.vocab.c", "99999999999", "model.vocab.c", "99999999999")]
    [InlineData("model.vocab.c", "1.5", "model.vocab.c", "1.5")]
    [InlineData("model.vocab.c", "\"3\"", "model.vocab.c", "\"3\"")]
    [InlineData("model.vocab", "[]", "model.vocab", "[]")]
    [InlineData("model.merges[0]", "\"a x\"", "model.merges[0]", "'x'")]
    [InlineData("model.merges[0]", "\"b a\"", "model.merges[0]", "'ba'")]
    [InlineData("model.merges[0]", "\"ab\"", "model.merges[0]", "\"ab\"")]
    [InlineData("model.merges[1]", "[\"a\", 1]", "model.merges[1][1]", "is 1")]
    [InlineData("model.merges[1]", "7", "model.merges[1]", "is 7")]
    [InlineData("model.merges", "{}", "model.merges", "{}")]
    [InlineData("model.type", "\"Words\"", "model.type", "supported: BPE, Unigram, WordPiece or WordLevel")]
    [InlineData("model.type", "\"WordLevel\"", "model.vocab", "the unknown one, '<unk>'")]
    [InlineData("model.type", "\"Unigram\"", "model.vocab", "a list")]
    [InlineData("model.type", "\"WordPiece\"", "model.unk_token", "missing")]
    [InlineData("model", "{ \"type\": \"Unigram\", \"vocab\": [[\"<s>\", 0]], \"unk_id\": 1 }", "model.unk_id", "is 1")]
    [InlineData("model", "{ \"type\": \"Unigram\", \"vocab\": [[\"a\", 1e999]] }", "model.vocab[0][1]", "1e999")]
    [InlineData("model", "{ \"type\": \"Unigram\", \"vocab\": [[\"a\", 0], [\"a\", 0]] }", "model.vocab", "'a' twice")]
    [InlineData("model", "{ \"type\": \"Unigram\", \"vocab\": [[\"a\"]] }", "model.vocab[0]", "its score")]
    [InlineData("model", "{ \"type\": \"WordPiece\", \"vocab\": {}, \"unk_token\": \"u\" }", "model.unk_token", "\"u\"")]
    [InlineData("model.unk_token", "\"<unk>\"", "model.unk_token", "<unk>")]
    [InlineData("model.byte_fallback", "3", "model.byte_fallback", "is 3")]
    [InlineData("model.dropout", "0.1", "model.dropout", "0.1")]
    [InlineData("model.end_of_word_suffix", "3", "model.end_of_word_suffix", "is 3")]
    [InlineData("model.continuing_subword_prefix", "\"##\"", "model.merges[0]", "the second with the prefix '##'")]
    [InlineData("model.ignore_merges", "\"yes\"", "model.ignore_merges", "yes")]
    [InlineData("model", "null", "model", "missing")]
    [InlineData("model", "3", "model", "is 3")]
    [InlineData("added_tokens[1].id", "2", "added_tokens[1].id", "'b'")]
    [InlineData("added_tokens[1].id", "0", "added_tokens[1].id", "'<s>'")]
    [InlineData("added_tokens[1].id", "2000000000", "added_tokens[1].id", "2000000000")]
    [InlineData("added_tokens[1].content", "\"a\"", "added_tokens[1].id", "'a'")]
    [InlineData("added_tokens[1].content", "\"\"", "added_tokens[1].content", "\"\"")]
    [InlineData("added_tokens[1].content", "null", "added_tokens[1].content", "missing")]
    [InlineData("added_tokens[1].content", "\"\\ud800\"", "added_tokens[1].content", "surrogate")]
    [InlineData("added_tokens[1].lstrip", "1", "added_tokens[1].lstrip", "is 1")]
    [InlineData("normalizer", "{ \"type\": \"Nmt\" }", "normalizer.type", "Nmt")]
    [InlineData("normalizer", "{ \"type\": \"Sequence\" }", "normalizer.normalizers", "missing")]
    [InlineData("normalizer", "{ \"type\": \"Precompiled\", \"precompiled_charsmap\": \"?\" }", "normalizer.precompiled_charsmap", "?")]
    [InlineData(
        "normalizer",
        "{ \"type\": \"Precompiled\", \"precompiled_charsmap\": \"////fwAA\" }",
        "normalizer.precompiled_charsmap",
        "////"
    )]
    [InlineData(
        "normalizer", "{ \"type\": \"Replace\", \"pattern\": { \"Regex\": \"(\" }, \"content\": \"\" }", "normalizer.pattern.Regex", "(")]
    [InlineData(
        "normalizer", "{ \"type\": \"Replace\", \"pattern\": { \"String\": \"\" }, \"content\": \"\" }", "normalizer.pattern.String",
        "\"\"")]
    [InlineData("pre_tokenizer.type", "\"UnicodeScripts\"", "pre_tokenizer.type", "UnicodeScripts")]
    [InlineData("pre_tokenizer", "{ \"type\": \"Metaspace\", \"replacement\": \"__\" }", "pre_tokenizer.replacement", "__")]
    [InlineData(
        "pre_tokenizer", "{ \"type\": \"Metaspace\", \"replacement\": \"_\", \"prepend_scheme\": \"last\" }",
        "pre_tokenizer.prepend_scheme", "last")]
    [InlineData("pre_tokenizer", "{ \"type\": \"Punctuation\", \"behavior\": \"0\" }", "pre_tokenizer.behavior", "\"0\"")]
    [InlineData("pre_tokenizer", "{ \"type\": \"CharDelimiterSplit\", \"delimiter\": \"\" }", "pre_tokenizer.delimiter", "one character")]
    [InlineData("pre_tokenizer", """{ "type": "Sequence", "pretokenizers": [] }""", "pre_tokenizer.pretokenizers", "at least")]
    [InlineData(
        "pre_tokenizer",
        """{ "type": "Split", "pattern": {}, "behavior": "Isolated" }""",
        "pre_tokenizer.pattern.Regex",
        "missing"
    )]
    [InlineData("pre_tokenizer", Split + """{ "Regex": "(" }, "behavior": "Isolated" }""", "pre_tokenizer.pattern.Regex", "(")]
    [InlineData("pre_tokenizer", Split + """{ "String": "a" }, "behavior": "Both" }""", "pre_tokenizer.behavior", "Both")]
    [InlineData("decoder.type", "\"CTC\"", "decoder.type", "CTC")]
    [InlineData("decoder", "{ \"type\": \"Strip\", \"content\": \" \", \"start\": -1, \"stop\": 0 }", "decoder.start", "-1")]
    [InlineData("post_processor.type", "\"Other\"", "post_processor.type", "Other")]
    [InlineData("post_processor.special_tokens.<s>.ids[0]", "900", "post_processor", "900")]
    [InlineData("post_processor.single", "[]", "post_processor.single", "[]")]
    public void A_damaged_file_is_refused_with_its_name_the_key_and_the_value(
        string key, string value, string named, string found)
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("damaged.json");
        File.WriteAllText(path, Changed(key, value));
        var message = Assert.Throws<InvalidDataException>(() => Tokenizer.Load(path)).Message;
        Assert.StartsWith(path, message, StringComparison.Ordinal);
        Assert.Contains($"'{named}'", message, StringComparison.Ordinal);
        Assert.Contains(found, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("null")]
    [InlineData("[1]")]
    [InlineData("{ \"model\": { \"type\": \"BPE\", \"vocab\": { \"a\": 0, \"a\": 1 }, \"merges\": [] } }")]
    [InlineData("{ \"model\": { \"type\": \"BPE\", \"vocab\": { \"\\ud800\": 0 }, \"merges\": [] } }")]
    public void A_file_that_is_no_such_object_is_refused(string text)
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("damaged.json");
        File.WriteAllText(path, text);
        var error = Assert.Throws<InvalidDataException>(() => Tokenizer.Load(path));
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_cut_off_or_changed_anywhere_is_read_or_refused_but_nothing_else()
    {
        const string Letters = "{}[],:\"\\u019aA nx";
        using var folder = new TemporaryFolder();
        var path = folder.File("tokenizer.json");
        var random = new Random(1);
        for (var i = 0; i < 1000; i++)
        {
            var text = Small.ToCharArray();
            for (var change = 0; change < 3; change++)
                text[random.Next(text.Length)] = Letters[random.Next(Letters.Length)];
            File.WriteAllText(path, new string(text, 0, i % 2 == 0 ? text.Length : random.Next(text.Length)));
            try
            {
                Tokenizer.Load(path).Encode("abc <go>");
            }
            catch (InvalidDataException error)
            {
                Assert.StartsWith(path, error.Message, StringComparison.Ordinal);
            }
        }
    }

    /// <summary>The small file with one value changed.</summary>
    private static string Changed(string key, string value)
    {
        // Not by JsonNode, which cannot hold half of a surrogate pair.
        const string Mark = "\"the value goes here\"";
        var root = JsonNode.Parse(Small)!;
        var steps = key.Replace("[", ".[", StringComparison.Ordinal).Split('.');
        var node = steps[..^1].Aggregate(root, (at, step) => step[0] == '[' ? at[int.Parse(step[1..^1])]! : at[step]!);
        if (steps[^1][0] == '[') node[int.Parse(steps[^1][1..^1])] = Mark.Trim('"');
        else node[steps[^1]] = Mark.Trim('"');
        return root.ToJsonString().Replace(Mark, value, StringComparison.Ordinal);
    }
}
