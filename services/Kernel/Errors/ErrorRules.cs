using System.Collections.Frozen;
using Nephos.Protos.Errors.V1;

namespace Nephos.Kernel.Errors;

/// <summary>The rules written beside the reasons in errors.proto.</summary>
public static class ErrorRules
{
    private const string Prefix = "ERROR_REASON_";

    private static readonly FrozenDictionary<ErrorReason, (string Name, ErrorRule Rule)> Rules =
        ErrorsReflection.Descriptor.FindTypeByName<Google.Protobuf.Reflection.EnumDescriptor>("ErrorReason").Values.ToFrozenDictionary(
            value => (ErrorReason)value.Number,
            value => (value.Name[Prefix.Length..], value.GetOptions().GetExtension(ErrorsExtensions.Rule)));

    private static readonly FrozenDictionary<string, ErrorReason> Reasons =
        Rules.ToFrozenDictionary(pair => pair.Value.Name, pair => pair.Key);

    public static ErrorRule Of(ErrorReason reason) => Rules[reason].Rule;

    /// <summary>The reason as ErrorInfo.reason carries it, e.g. <c>NOT_FOUND</c>.</summary>
    public static string NameOf(ErrorReason reason) => Rules[reason].Name;

    public static ErrorReason Parse(string name) => Reasons.GetValueOrDefault(name, ErrorReason.Unspecified);
}
