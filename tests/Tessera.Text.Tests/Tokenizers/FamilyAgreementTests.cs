using System.Text.Json;
using Tessera.Testing;

namespace Tessera.Text.Tokenizers.Tests;

/// <summary>Ids and decoded texts of every line of the fixtures that are no byte-level BPE.</summary>
public class FamilyAgreementTests
{
    private const string Shared = "fixtures/tokenizers/llama2";

    [SharedFact(Shared)]
    public void Sentencepiece_BPE_as_a_JSON_file_gives_the_ids_of_the_reference()
    {
        Agrees("llama2");
        Agrees("llama2-metaspace");
    }

    [SharedFact(Shared)]
    public void Unigram_models_give_the_ids_of_the_reference()
    {
        Agrees("t5");
        Agrees("unigram-nfkc");
    }

    [SharedFact(Shared)]
    public void WordPiece_models_give_the_ids_of_the_reference()
    {
        Agrees("bert-uncased");
        Agrees("bert-cased");
    }

    [Theory]
    [InlineData("spm-bpe")]
    [InlineData("spm-bpe-nfkc")]
    [InlineData("spm-unigram")]
    [InlineData("spm-unigram-identity")]
    public void Files_of_sentencepiece_give_its_ids_and_texts(string name)
    {
        if (Directory.Exists(TokenizerFixtures.Folder(name))) Agrees(name);
    }

    [SharedFact(Shared)]
    public void A_file_written_and_read_again_gives_the_same_ids_and_keeps_its_kinds()
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

    internal static void Agrees(string name, Tokenizer? loaded = null)
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
