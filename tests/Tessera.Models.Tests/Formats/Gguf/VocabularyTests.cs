using System.Globalization;
using Tessera.Models.Formats.Gguf;
using Tessera.Testing;
using Tessera.Text.Tokenizers;

namespace Tessera.Models.Tests.Formats.Gguf;

/// <summary>Vocabularies of llama.cpp's tests, with the ids it gives to their texts.</summary>
public class VocabularyTests
{
    private const string Folder = "data/vocab";

    [SharedFact(Folder)]
    public void Vocabularies_in_GGUF_files_give_the_ids_of_llama_cpp()
    {
        foreach (var name in (string[])["gpt-2", "llama-bpe", "llama-spm"])
        {
            var path = Path.Combine(Fixture.Shared(Folder)!, $"ggml-vocab-{name}.gguf");
            using var file = GgufFile.Open(path);
            var tokenizer = GgufTokenizer.Read(file);
            var texts = File.ReadAllText(path + ".inp").Split("\n__ggml_vocab_test__\n");
            var lines = File.ReadAllText(path + ".out").Split('\n');
            var count = 0;
            for (var i = 0; i < texts.Length; i++)
            {
                // What follows the last mark is no text.
                if (i == texts.Length - 1 && texts[i].Length == 0) break;
                var expected = lines[i].Split(' ', StringSplitOptions.RemoveEmptyEntries);
                var ids = tokenizer.EncodeOrdinary(texts[i]);
                Assert.True(
                    expected.SequenceEqual(ids.Select(id => id.ToString(CultureInfo.InvariantCulture))),
                    $"{name}: '{texts[i]}': not {lines[i]} but {string.Join(' ', ids)}");
                Assert.Equal(texts[i], tokenizer.Decode(ids));
                count++;
            }

            Assert.True(count > 40, $"{name}: {count} texts");
        }
    }
}
