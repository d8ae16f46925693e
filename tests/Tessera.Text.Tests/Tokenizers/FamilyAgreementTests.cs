using System.Diagnostics;
using System.Text.Json;
using Tessera.Testing;

namespace Tessera.Text.Tokenizers.Tests;

/// <summary>Ids and decoded texts of every line of the fixtures that are no byte-level BPE.</summary>
public class FamilyAgreementTests
{
    private const string Shared = "fixtures/tokenizers/llama2";

    [Fact]
    public void Sentencepiece_BPE_as_a_JSON_file_gives_the_ids_of_the_reference() => Agrees("llama2");

    [SharedFact(Shared)]
    public void A_metaspace_that_adds_blanks_only_at_the_start_gives_the_ids_of_the_reference() =>
        Agrees("llama2-metaspace");

    [SharedFact(Shared)]
    public void Unigram_models_give_the_ids_of_the_reference()
    {
        Agrees("t5");
        Agrees("unigram-nfkc");
    }

    [Fact]
    public void WordPiece_with_folded_case_gives_the_ids_of_the_reference() => Agrees("bert-uncased");

    [SharedFact(Shared)]
    public void WordPiece_with_case_gives_the_ids_of_the_reference() => Agrees("bert-cased");

    [Theory]
    [InlineData("spm-bpe")]
    [InlineData("spm-unigram")]
    [InlineData("spm-unigram-identity")]
    public void Files_of_sentencepiece_give_its_ids_and_texts(string name) => Agrees(name);

    [SharedFact(Shared)]
    public void Merges_of_sentencepiece_after_a_character_map_give_its_ids_and_texts() => Agrees("spm-bpe-nfkc");

    [Theory]
    [InlineData("spm-bpe")]
    [InlineData("spm-unigram")]
    [InlineData("spm-unigram-identity")]
    public void Texts_are_normalized_as_sentencepiece_does(string name)
    {
        var model = SentencePieceModel.Read(Path.Combine(TokenizerFixtures.Folder(name), "tokenizer.model"));
        var symbols = model.Pieces.Where(piece => piece.Kind == PieceKind.UserDefined).Select(piece => piece.Text).ToArray();
        var normalizer = new SentencePieceNormalizer(
            model.Map, symbols, model.AddsBlank, model.DropsBlanks, model.EscapesBlanks, model.BlanksAfter);
        var rows = TokenizerFixtures.Info(name, "normalized").EnumerateArray().ToArray();
        Assert.NotEmpty(rows);
        foreach (var row in rows) Assert.Equal(row[1].GetString(), normalizer.Normalize(row[0].GetString()!));
    }

    [SharedFact(Shared)]
    public void A_file_written_and_read_again_gives_the_same_ids_and_is_the_same()
    {
        foreach (var name in (string[])["llama2", "llama2-metaspace", "t5", "unigram-nfkc", "bert-uncased", "bert-cased"])
        {
            using var folder = new TemporaryFolder();
            TokenizerFixtures.Load(name).Save(folder.Path);
            Agrees(name, Tokenizer.Load(folder.Path));
            using var before = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(TokenizerFixtures.Folder(name), "tokenizer.json")));
            using var after = JsonDocument.Parse(File.ReadAllBytes(folder.File("tokenizer.json")));
            Assert.True(JsonElement.DeepEquals(before.RootElement, after.RootElement), name);
        }
    }

    [Fact]
    public void A_file_of_sentencepiece_written_as_JSON_gives_the_same_ids()
    {
        using var folder = new TemporaryFolder();
        TokenizerFixtures.Load("spm-bpe").Save(folder.Path);
        var saved = Tokenizer.Load(folder.Path);
        // A tokenizer.json finds control symbols in texts, sentencepiece does not.
        foreach (var (text, ids, _) in TokenizerFixtures.Cases("spm-bpe").Where(row => !row.Text.Contains('<', StringComparison.Ordinal)))
            Assert.Equal(ids, saved.Encode(text));
        Assert.Equal((1, 2), (saved.BeginId, saved.EndId));
        Assert.Equal([1], saved.Encode("<s>"));
    }

    [Fact]
    public void Tiktoken_ranks_give_the_ids_of_the_tokenizer_they_were_made_from()
    {
        using var folder = new TemporaryFolder();
        var gpt2 = TokenizerFixtures.Load("gpt2");
        var lines = new List<string>();
        // Its first token is special; the ranks of the others follow.
        for (var id = 1; id < gpt2.VocabularySize; id++)
        {
            var bytes = new System.Buffers.ArrayBufferWriter<byte>();
            ByteAlphabet.Decode(gpt2.TokenText(id), bytes);
            lines.Add($"{Convert.ToBase64String(bytes.WrittenSpan)} {id - 1}");
        }

        File.WriteAllLines(folder.File("ranks.tiktoken"), lines);
        AddedToken[] added = [new("<|endoftext|>", 2047)];
        var ranks = Tokenizer.LoadTiktoken(folder.File("ranks.tiktoken"), [SplitPreTokenizer.Gpt2Pattern], added);
        foreach (var (text, ids, decoded) in TokenizerFixtures.Cases("gpt2"))
        {
            int[] expected = [.. ids.Select(id => id == 0 ? 2047 : id - 1)];
            Assert.Equal(expected, ranks.Encode(text));
            Assert.Equal(decoded, ranks.Decode(expected));
        }

        File.WriteAllText(folder.File("bad"), "IQ== 1\n");
        var error = Assert.Throws<InvalidDataException>(() => Tokenizer.LoadTiktoken(folder.File("bad"), ["a"]));
        Assert.Contains("bad:1: 'IQ== 1'", error.Message, StringComparison.Ordinal);
    }

    [SharedFact("fixtures/tokenizers/tiktoken")]
    public void Tiktoken_ranks_of_the_reference_give_its_ids()
    {
        var path = Path.Combine(TokenizerFixtures.Folder("tiktoken"), "ranks.tiktoken");
        var ranks = Tokenizer.LoadTiktoken(path, GgmlPatterns.Of("deepseek-v3")!);
        foreach (var row in TokenizerFixtures.Info("deepseek3", "without_special_tokens").EnumerateArray())
            Assert.Equal(TokenizerFixtures.Ids(row), ranks.Encode(row.GetProperty("text").GetString()!));
    }

    [Theory]
    [InlineData("llama2")]
    [InlineData("spm-unigram")]
    [InlineData("bert-uncased")]
    public void Long_words_take_time_in_proportion_to_their_length(string name)
    {
        var tokenizer = TokenizerFixtures.Load(name);
        var word = string.Create(300_000, new Random(3), (letters, source) => source.GetItems("aeinorst", letters));
        var watch = Stopwatch.StartNew();
        var ids = tokenizer.Encode(word);
        // Quadratic work takes minutes.
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(5), $"took {watch.Elapsed}");
        if (name != "bert-uncased") Assert.Equal(word, tokenizer.Decode(ids));
    }

    private static void Agrees(string name, Tokenizer? loaded = null)
    {
        var tokenizer = loaded ?? TokenizerFixtures.Load(name);
        Assert.Equal(TokenizerFixtures.Info(name, "vocab").GetInt32(), tokenizer.VocabularySize);
        var wrong = new List<string>();
        var count = 0;
        foreach (var (text, ids, decoded) in TokenizerFixtures.Cases(name))
        {
            count++;
            var (given, back) = (tokenizer.EncodeSequence(text), tokenizer.Decode(ids));
            if (!ids.AsSpan().SequenceEqual(given))
                wrong.Add($"{JsonSerializer.Serialize(text)}: not {string.Join(' ', ids)} but {string.Join(' ', given)}");
            if (back != decoded) wrong.Add($"not {JsonSerializer.Serialize(decoded)} but {JsonSerializer.Serialize(back)}");
        }

        Assert.Equal(TokenizerFixtures.Info(name, "cases").GetInt32(), count);
        Assert.True(wrong.Count == 0, $"{name}: {wrong.Count} of {count}\n{string.Join('\n', wrong.Take(12))}");
    }
}
