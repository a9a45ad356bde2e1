//! Loading a model with the operators that speech models are made of. All of ONNX would be linked otherwise: recurrent networks,
//! image resizing, Fourier transforms, and more.

use std::path::Path;

use rten::{LoadError, Model, ModelOptions, op_registry};

/// Loads an ONNX file.
///
/// # Errors
/// When it cannot be read, is damaged, or has an operator that is not in the list here.
pub fn load(file: &Path) -> Result<Model, LoadError> {
    let operators = op_registry!(
        // arithmetic
        Abs,
        Add,
        Ceil,
        Clip,
        Cos,
        CumSum,
        Div,
        Erf,
        Exp,
        Floor,
        Log,
        Max,
        Min,
        Mod,
        Mul,
        Neg,
        Pow,
        Reciprocal,
        Round,
        Sign,
        Sin,
        Sqrt,
        Sub,
        Sum,
        // comparison and choice
        And,
        Equal,
        Greater,
        GreaterOrEqual,
        If,
        IsNaN,
        Less,
        LessOrEqual,
        Not,
        Or,
        Where,
        // activation and normalisation
        Gelu,
        InstanceNormalization,
        LayerNormalization,
        LeakyRelu,
        LogSoftmax,
        Relu,
        Sigmoid,
        Softmax,
        Softplus,
        Tanh,
        // products
        Conv,
        ConvTranspose,
        Gemm,
        MatMul,
        MatMulInteger,
        // whole numbers for weights
        DequantizeLinear,
        DynamicQuantizeLinear,
        QuantizeLinear,
        // over an axis
        ArgMax,
        ReduceMax,
        ReduceMean,
        ReduceMin,
        ReduceProd,
        ReduceSum,
        // form
        Cast,
        Concat,
        ConstantOfShape,
        Expand,
        Flatten,
        Gather,
        GatherElements,
        GatherND,
        Identity,
        NonZero,
        Pad,
        Range,
        Reshape,
        ScatterND,
        Shape,
        Size,
        Slice,
        Split,
        Squeeze,
        Tile,
        Transpose,
        Trilu,
        Unsqueeze
    );
    ModelOptions::with_ops(operators).load_file(file)
}
