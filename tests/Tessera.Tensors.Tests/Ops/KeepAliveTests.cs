using System.Reflection;
using System.Reflection.Emit;

namespace Tessera.Tensors.Tests.Ops;

/// <summary>A span does not keep its tensor: an operation that reads spans of owned tensors names each of them again at its end,
/// or the collector may free one while a kernel runs. That it does is read off its code.</summary>
public class KeepAliveTests
{
    private static readonly Dictionary<short, OpCode> s_codes = typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static)
        .Select(field => (OpCode)field.GetValue(null)!).ToDictionary(code => code.Value);

    private static readonly string[] s_spans = ["get_Floats", "get_Ints", "get_Bytes", "AsMatrix", "AsStoredMatrix"];

    [Fact]
    public void Every_operation_keeps_the_tensors_whose_spans_it_reads()
    {
        var checkedOperations = 0;
        foreach (
            var method in typeof(Op).GetMethods(
                BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.DeclaredOnly))
        {
            if (!method.IsPublic && method.Name != "Norm") continue;
            if (method.Name == nameof(Op.Checkpoint)) continue; // reads spans of what it makes itself
            var called = Calls(method).ToArray();
            if (!called.Any(name => s_spans.Contains(name))) continue;
            var tensors = method.GetParameters().Count(parameter => parameter.ParameterType == typeof(Tensor));
            Assert.True(
                called.Count(name => name == nameof(GC.KeepAlive)) >= tensors, $"{method} does not keep each of its {tensors} tensors");
            checkedOperations++;
        }

        Assert.True(checkedOperations >= 20, $"only {checkedOperations} operations were found to read spans");
    }

    /// <summary>The names of the methods that a method calls.</summary>
    private static IEnumerable<string> Calls(MethodInfo method)
    {
        var code = method.GetMethodBody()!.GetILAsByteArray()!;
        for (var at = 0; at < code.Length;)
        {
            var value = code[at++] is var first && first == 0xFE ? unchecked((short)((first << 8) | code[at++])) : first;
            var instruction = s_codes[value];
            if (instruction.OperandType == OperandType.InlineMethod)
                yield return method.Module.ResolveMethod(BitConverter.ToInt32(code, at))!.Name;
            at += instruction.OperandType switch
            {
                OperandType.InlineNone => 0,
                OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
                OperandType.InlineVar => 2,
                OperandType.InlineI8 or OperandType.InlineR => 8,
                OperandType.InlineSwitch => 4 + (4 * BitConverter.ToInt32(code, at)),
                _ => 4,
            };
        }
    }
}
