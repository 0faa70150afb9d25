namespace Nephos.Client.Objects;

/// <summary>How the frames of a blob are kept; part of its id, so that whoever meets a blob knows.</summary>
public enum BlobScheme : byte
{
    /// <summary>As many whole copies as the ring has replicas.</summary>
    Replicated = 0,

    /// <summary>Two fragments of data and one of parity.</summary>
    Coded2And1 = 1,

    /// <summary>Four fragments of data and two of parity.</summary>
    Coded4And2 = 2,

    /// <summary>Eight fragments of data and three of parity.</summary>
    Coded8And3 = 3,
}
