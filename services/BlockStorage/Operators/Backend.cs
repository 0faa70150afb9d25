namespace Nephos.BlockStorage.Operators;

/// <summary>What every device of ours says of itself, and what extra specs of types are compared with.</summary>
internal static class Backend
{
    public const string Name = "nephos", Vendor = "Open Source", Protocol = "nbd", DriverVersion = "1.0.0", Pool = "pool";

    private const string CapabilitiesScope = "capabilities:";

    /// <summary>Whether volumes of a type with these extra specs can be here.</summary>
    /// <remarks>The protocol is not compared: which one a guest's disk is reached by is the matter of the node, not of the type.</remarks>
    public static bool Suits(IReadOnlyDictionary<string, string> extraSpecs)
    {
        foreach (var (key, wanted) in extraSpecs)
        {
            var name = key.StartsWith(CapabilitiesScope, StringComparison.Ordinal) ? key[CapabilitiesScope.Length..] : key;
            if ((name == "vendor_name" && wanted != Vendor) || (name == "volume_backend_name" && wanted != Name)) return false;
        }
        return true;
    }
}
